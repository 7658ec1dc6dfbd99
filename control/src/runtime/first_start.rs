//! The first start without a configuration: makes a key, keeps it, and tells the operator once how a client uses it.

use super::host;
use crate::config::Surroundings;
use crate::config::checked::Config;
use adit_crypto::random::{OsRandom, SecretRandom};
use adit_crypto::secret::SecretBytes;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The key's file in the state directory, as the built-in configuration names it.
const KEY_FILE: &str = "psk";
/// Octets of chance in the key: 256 bits.
const KEY_LEN: usize = 32;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system says no.
    #[error("{}: {what}: {source} (another place: --state-dir DIR)", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// At what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Others can write there, so the key could be anybody's.
    #[error("{}: others can write there (mode {mode:04o}); run `chmod 700` on it", .path.display())]
    OpenToOthers {
        /// Where.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// The state directory, ready.
#[derive(Debug)]
pub struct FirstStart {
    folder: PathBuf,
    new_key: Option<SecretBytes>,
}

impl FirstStart {
    /// What the built-in configuration is checked against.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings { folder: self.folder.clone(), cores: host::cores() }
    }

    /// The key, only if it was made just now.
    pub fn new_key(&self) -> Option<&SecretBytes> {
        self.new_key.as_ref()
    }
}

/// Makes the state directory (0700) and the key (0600), whichever is not there.
///
/// # Errors
/// The directory cannot be made, written, or trusted.
pub fn prepare(folder: &Path) -> Result<FirstStart, StateError> {
    let failed = |path: &Path, what| {
        let path = path.to_owned();
        move |source| StateError::Io { path, what, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder, "making the directory"))?;
    let mode = folder.metadata().map_err(failed(folder, "looking at the directory"))?.mode();
    if mode & 0o022 != 0 {
        return Err(StateError::OpenToOthers { path: folder.to_owned(), mode: mode & 0o7777 });
    }
    let path = folder.join(KEY_FILE);
    let new_key = match path.symlink_metadata() {
        Ok(_there) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = make_key(&mut OsRandom);
            store(folder, &path, &key).map_err(failed(&path, "writing the pre-shared key"))?;
            Some(key)
        }
        Err(error) => return Err(failed(&path, "looking for the pre-shared key")(error)),
    };
    Ok(FirstStart { folder: folder.to_owned(), new_key })
}

/// Hexadecimal digits, so that it can be pasted anywhere; the digits themselves are the key.
fn make_key(random: &mut dyn SecretRandom) -> SecretBytes {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut octets = vec![0; KEY_LEN];
    random.fill(&mut octets);
    let octets = SecretBytes::new(octets);
    // All the room at once: growing would leave a copy behind that is not wiped.
    let mut digits = Vec::with_capacity(2 * KEY_LEN);
    for octet in octets.expose() {
        digits.extend([DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
    }
    SecretBytes::new(digits)
}

/// Whoever looks finds the whole key or none, also after a power cut.
fn store(folder: &Path, path: &Path, key: &SecretBytes) -> io::Result<()> {
    let draft = folder.join(format!(".{KEY_FILE}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        // To be written to the file that only its owner can read.
        file.write_all(key.expose())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&draft)))
}

/// What is printed once: the key and a client's configuration to paste.
pub fn welcome(config: &Config, start: &FirstStart, key: &SecretBytes, address: Option<IpAddr>) -> String {
    let file = start.folder.join(KEY_FILE).display().to_string();
    let here = address.map_or_else(|| "ADDRESS-OF-THIS-HOST".to_owned(), |address| address.to_string());
    let key = String::from_utf8_lossy(key.expose());
    let identity = &config.identity;
    let ranges = config.pools.iter().flat_map(|pool| {
        [pool.v4.map(|net| net.to_string()), pool.v6.map(|net| net.to_string())].into_iter().flatten()
    });
    let reach = ranges.collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    let _infallible = write!(
        text,
        r#"adit runs with its built-in configuration. This text is shown once;
the key stays in {file}.

For a strongSwan client, save what is between the lines as /etc/swanctl/conf.d/adit.conf (mode 0600),
then run: swanctl --load-all && swanctl --initiate --child adit
------------------------------------------------------------------------
connections {{
  adit {{
    version = 2
    # Where the client reaches this host. Behind a port forwarding: the outer address.
    remote_addrs = {here}
    vips = 0.0.0.0, ::
    encap = yes
    mobike = no
    dpd_delay = 30s
    proposals = aes256gcm16-prfsha384-x25519
    local {{
      auth = psk
      # Any name; give each client its own.
      id = client1@adit
    }}
    remote {{
      auth = psk
      id = {identity}
    }}
    children {{
      adit {{
        # What goes through the tunnel: here only the VPN's own addresses, so that nothing else of the client's is
        # touched. Add the networks behind this host, or write 0.0.0.0/0, ::/0 for everything.
        remote_ts = {reach}
        esp_proposals = aes256gcm16-x25519
      }}
    }}
  }}
}}
secrets {{
  ike-adit {{
    id = {identity}
    secret = "{key}"
  }}
}}
------------------------------------------------------------------------
"#
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use adit_crypto::random::SeededRandom;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("var").join("adit");
        let first = prepare(&folder).unwrap();
        let stored = std::fs::read(folder.join(KEY_FILE)).unwrap();
        assert_eq!(first.new_key().unwrap().expose(), stored.trim_ascii());
        assert_eq!((mode(&folder), mode(&folder.join(KEY_FILE))), (0o700, 0o600));

        let second = prepare(&folder).unwrap();
        assert!(second.new_key().is_none());
        assert_eq!(std::fs::read(folder.join(KEY_FILE)).unwrap(), stored);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn the_key_has_256_bits_in_digits_that_can_be_pasted() {
        let key = make_key(&mut SeededRandom::new(1));
        assert_eq!(key.len(), 64);
        assert!(key.expose().iter().all(u8::is_ascii_hexdigit));
        assert_ne!(key, make_key(&mut SeededRandom::new(2)));
    }

    #[test]
    fn a_state_directory_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(prepare(folder.path()), Err(StateError::OpenToOthers { mode: 0o777, .. })));
    }

    #[test]
    fn the_built_in_configuration_holds_and_its_client_fits_it() {
        let folder = tempfile::tempdir().unwrap();
        let start = prepare(folder.path()).unwrap();
        let (config, warnings) = config::read(config::BUILT_IN_NAME, config::BUILT_IN, &start.surroundings()).unwrap();
        assert_eq!(warnings, []);
        let key = start.new_key().unwrap();
        let [connection] = &config.connections[..] else { panic!("one connection") };
        let login = connection.v2().unwrap();
        assert_eq!(&login.psk, key);

        let text = welcome(&config, &start, key, Some(IpAddr::from([192, 0, 2, 7])));
        for line in [
            "remote_addrs = 192.0.2.7",
            "id = headend.adit",
            "remote_ts = 10.66.0.0/16, fd66:adad::/64",
            &format!("secret = \"{}\"", String::from_utf8_lossy(key.expose())),
        ] {
            assert!(text.lines().any(|found| found.trim() == line), "{line} in {text}");
        }
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
            line.trim_start_matches(" = ").to_owned()
        };
        let ike = config::checked::IkeProposal::parse(&value("proposals")).unwrap();
        assert!(login.ike_proposals.iter().any(|ours| ours.encr.contains(&ike.encr[0])
            && ours.prf.contains(&ike.prf[0])
            && ours.groups.contains(&ike.groups[0])));
        let esp = config::checked::EspProposal::parse(&value("esp_proposals")).unwrap();
        assert!(connection.esp_proposals.iter().any(|ours| ours.encr.contains(&esp.encr[0])));
    }

    #[test]
    fn without_an_address_the_place_for_it_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let start = prepare(folder.path()).unwrap();
        let (config, _) = config::read(config::BUILT_IN_NAME, config::BUILT_IN, &start.surroundings()).unwrap();
        assert!(
            welcome(&config, &start, start.new_key().unwrap(), None).contains("remote_addrs = ADDRESS-OF-THIS-HOST")
        );
    }
}
