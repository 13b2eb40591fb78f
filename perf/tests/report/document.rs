//! A page as the parser of a browser reads it.

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// The tree of a page.
pub(crate) struct Document {
    /// What a validator would complain about.
    pub(crate) errors: Vec<String>,
    root: Handle,
}

impl Document {
    pub(crate) fn parse(text: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(text);
        let errors = dom.errors.take().into_iter().map(Into::into);
        Self {
            errors: errors.collect(),
            root: dom.document,
        }
    }

    /// All text, style sheets apart.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        walk(&self.root, &mut |node, above| {
            if let NodeData::Text { contents } = &node.data
                && above.last().is_none_or(|name| name != "style")
            {
                text += &contents.borrow();
            }
        });
        text
    }

    /// How many elements there are at the end of this path of names: `li svg` is one of svg right inside li.
    pub(crate) fn count(&self, path: &str) -> usize {
        let path: Vec<_> = path.split(' ').collect();
        let mut count = 0;
        walk(&self.root, &mut |node, above| {
            if let NodeData::Element { name, .. } = &node.data {
                let mut full: Vec<&str> = above.iter().map(String::as_str).collect();
                full.push(&name.local);
                count += usize::from(full.ends_with(&path));
            }
        });
        count
    }

    /// How many elements have this attribute.
    pub(crate) fn attributes(&self, name: &str) -> usize {
        let mut count = 0;
        walk(&self.root, &mut |node, _| {
            if let NodeData::Element { attrs, .. } = &node.data {
                count += attrs
                    .borrow()
                    .iter()
                    .filter(|a| &*a.name.local == name)
                    .count();
            }
        });
        count
    }
}

/// Visits every node with the names of the elements above it.
fn walk(root: &Handle, visit: &mut impl FnMut(&Handle, &[String])) {
    let mut left = vec![(root.clone(), Vec::new())];
    while let Some((node, above)) = left.pop() {
        visit(&node, &above);
        let mut inside = above.clone();
        if let NodeData::Element { name, .. } = &node.data {
            inside.push(name.local.to_string());
        }
        let children = node.children.borrow();
        left.extend(
            children
                .iter()
                .rev()
                .map(|child| (child.clone(), inside.clone())),
        );
    }
}
