//! Chromium without a window: opens a page, measures it, takes its picture, and is gone.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

/// Patience with a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Names that it has in one distribution or another.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// It runs as root in an empty network: no sandbox, nothing that calls home, no daemon for crashes.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    // The frame and the page in it are files both.
    "--allow-file-access-from-files",
];

/// What is looked at: a window is never narrower than 500 pixels, so the page is in a frame of the size wanted.
const FRAME: &str = include_str!("frame.html");

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

/// What was seen.
pub(crate) struct Seen {
    /// What the script of [`FRAME`] measured.
    pub(crate) facts: Value,
    /// A PNG.
    pub(crate) picture: Vec<u8>,
}

impl Seen {
    pub(crate) fn picture_size(&self) -> (u32, u32) {
        assert!(self.picture.starts_with(b"\x89PNG\r\n\x1a\n"), "a PNG");
        let number = |at: usize| {
            self.picture[at..at + 4]
                .iter()
                .fold(0, |n, b| n << 8 | u32::from(*b))
        };
        (number(16), number(20))
    }
}

/// The program.
pub(crate) struct Browser(PathBuf);

impl Browser {
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("PATH").expect("PATH");
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        let all = NAMES
            .iter()
            .flat_map(|name| folders.iter().map(move |f| f.join(name)));
        let found = all.into_iter().find(|file| file.is_file());
        Self(found.expect(
            "Chromium or Chrome: scripts/setup test installs it on Debian, elsewhere do so by hand",
        ))
    }

    /// Looks at `page`; `folder` is for what it needs meanwhile.
    pub(crate) fn look(&self, page: &Path, folder: &Path, view: View) -> Seen {
        let (frame, picture) = (folder.join("frame.html"), folder.join("picture.png"));
        let text = FRAME.replace("PAGE", page.to_str().expect("UTF-8"));
        let text = text.replace("WIDTH", &view.width.to_string());
        fs::write(&frame, text.replace("HEIGHT", &view.height.to_string())).expect("a file");
        let _ = fs::remove_file(&picture);
        let dom = self.run(folder, &frame, &picture, view);
        let title = dom
            .split_once("<title>")
            .and_then(|(_, rest)| rest.split_once("</title>"));
        let facts = title
            .map_or(dom.as_str(), |(title, _)| title)
            .replace("&amp;", "&");
        Seen {
            facts: serde_json::from_str(&facts).unwrap_or_else(|e| panic!("{e}: {facts}")),
            picture: fs::read(&picture).expect("a picture"),
        }
    }

    /// The page's tree after its script has run.
    fn run(&self, folder: &Path, page: &Path, picture: &Path, view: View) -> String {
        let (out, log) = (folder.join("out"), folder.join("log"));
        let profile = folder.join("profile").display().to_string();
        let file = |path: &Path| Stdio::from(File::create(path).expect("a file"));
        let mut command = Command::new(&self.0);
        command
            .args(FLAGS)
            .args(view.dark.then_some("--force-dark-mode"));
        command.arg(format!("--user-data-dir={profile}"));
        command.arg(format!("--window-size={},{}", view.width, view.height));
        command.args(["--dump-dom", &format!("--screenshot={}", picture.display())]);
        command.arg(format!("file://{}", page.display()));
        // What it would leave in the home of who runs the tests goes with the folder.
        command
            .env("HOME", folder)
            .env_remove("DISPLAY")
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
        command
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&log))
            .process_group(0);
        let child = command.spawn().expect("the browser");
        let mut browser = Running { child, profile };
        let status = browser
            .end()
            .unwrap_or_else(|| panic!("too slow: {}", read(&log)));
        assert!(status.success(), "{status}: {}", read(&log));
        read(&out)
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("a file")).into()
}

/// The browser with its helpers, which have the folder of its profile in their command lines.
struct Running {
    child: Child,
    profile: String,
}

impl Running {
    /// Waits until it has ended, and then those helpers that outlive it for a moment.
    fn end(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait().expect("a child") {
                Some(status) if !self.a_helper_runs() => return Some(status),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        None
    }

    /// One that only waits for process 1 to take notice of its end has no command line any more.
    fn a_helper_runs(&self) -> bool {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut lines =
            processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(&self.profile))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) || self.a_helper_runs() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
