//! How the ends are configured: by the same text and the same checks as `aditd`'s, so that what a world shows holds for
//! a file that somebody can write.

use adit_control::config::checked::Config;
use adit_control::config::{ConfigErrors, Surroundings, read};
use std::sync::Arc;
use std::time::Duration;

/// What a world's ends are set to. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) rekey_ike: u64,
    pub(crate) rekey_child: u64,
    pub(crate) dpd_delay: u64,
}

/// Made once, shared by all.
#[derive(Debug, Clone)]
pub(crate) struct Configs {
    pub(crate) headend: Arc<Config>,
    v2: Arc<Config>,
    v1: Arc<Config>,
    drafts: Arc<Config>,
}

/// By which version of IKE a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// How a client by IKEv1 passes its NATs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Passes {
    /// On port 4500.
    #[default]
    Floating,
    /// On port 500, by drafts 00 and 01.
    Staying,
}

impl Configs {
    /// A client's.
    pub(crate) fn client(&self, version: Version, passes: Passes) -> &Arc<Config> {
        match (version, passes) {
            (Version::V1, Passes::Floating) => &self.v1,
            (Version::V1, Passes::Staying) => &self.drafts,
            (Version::V2, _) => &self.v2,
        }
    }
}

/// After its time to be rekeyed a child SA of these short-lived worlds lives longer than an end asks before it gives up
/// (82 s), as with the times that `aditd` has by default: so it never ends for want of an answer while the session goes on.
const HARD_FACTOR: f64 = 1.9;

impl Settings {
    /// Retransmissions before an end gives up; in the text below.
    pub(crate) const TRIES: u32 = 5;
    /// How long a login may be unfinished; in the text below.
    pub(crate) const HALF_OPEN: Duration = Duration::from_secs(30);

    /// For all kinds of end.
    pub(crate) fn configs(&self) -> Result<Configs, ConfigErrors> {
        let (v1, drafts) = (self.v1("")?, self.v1(r#"nat_traversals = ["draft-01", "draft-00"]"#)?);
        Ok(Configs { headend: self.headend()?, v2: self.v2()?, v1, drafts })
    }

    fn headend(&self) -> Result<Arc<Config>, ConfigErrors> {
        // The world answers for the users; the one here is nobody.
        self.config(
            r#"
            [node]
            identity = "headend.sim"
            [[pool]]
            name = "all"
            addresses = ["10.64.0.0/14", "fd64::/64"]
            [[user]]
            name = "nobody"
            password_hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
            [[connection]]
            name = "subscribers"
            remote_ids = ["*@sim"]
            psk = "a simulated secret"
            pools = ["all"]
            networks = ["10.20.0.0/24", "fd20::/64"]
            ike_proposals = ["aes128gcm16-prfsha256-x25519"]
            esp_proposals = ["aes128gcm16"]
            [[connection]]
            name = "subscribers by IKEv1"
            ike = "v1"
            auth = "xauth-psk"
            remote_ids = ["keyid:subscribers"]
            psk = "a simulated group's secret"
            users = ["local"]
            pools = ["all"]
            networks = ["10.20.0.0/24"]
            aggressive_limit = 1000
            ike_proposals = ["aes128-sha256-ecp256"]
            esp_proposals = ["aes128gcm16"]
            "#,
        )
    }

    /// A client's only connection is the one it calls.
    fn v2(&self) -> Result<Arc<Config>, ConfigErrors> {
        self.config(
            r#"
            [node]
            identity = "nobody@sim"
            [listen]
            native_esp = false
            [[pool]]
            name = "none"
            addresses = ["192.0.2.0/29"]
            [[connection]]
            name = "headend"
            remote_ids = ["headend.sim"]
            psk = "a simulated secret"
            pools = ["none"]
            networks = ["10.20.0.0/24", "fd20::/64"]
            ike_proposals = ["aes128gcm16-prfsha256-x25519"]
            esp_proposals = ["aes128gcm16"]
            "#,
        )
    }

    /// The same by IKEv1, with `more` about what it listens to. Only UDP travels in these worlds.
    fn v1(&self, more: &str) -> Result<Arc<Config>, ConfigErrors> {
        let listen = format!(
            r#"
            [node]
            identity = "nobody@sim"
            [listen]
            native_esp = false
            {more}
            "#
        );
        let rest = r#"
            [[pool]]
            name = "none"
            addresses = ["192.0.2.0/29"]
            [[user]]
            name = "nobody"
            password_hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
            [[connection]]
            name = "headend"
            ike = "v1"
            auth = "xauth-psk"
            remote_ids = ["headend.sim"]
            psk = "a simulated group's secret"
            users = ["local"]
            pools = ["none"]
            networks = ["10.20.0.0/24"]
            ike_proposals = ["aes128-sha256-ecp256"]
            esp_proposals = ["aes128gcm16"]
            "#;
        self.config(&(listen + rest))
    }

    fn config(&self, who: &str) -> Result<Arc<Config>, ConfigErrors> {
        let Self { rekey_ike, rekey_child, dpd_delay } = self;
        let text = format!(
            r#"{who}
            [workers]
            count = 2
            [ike]
            dpd_delay = "{dpd_delay}s"
            retransmit_initial = "2s"
            retransmit_tries = {tries}
            half_open_timeout = "{half_open}s"
            half_open_limit = 4096
            session_limit = 65536
            rekey_time = "{rekey_ike}s"
            over_time = "{over_ike}s"
            [esp]
            rekey_time = "{rekey_child}s"
            hard_factor = {HARD_FACTOR}
            "#,
            tries = Self::TRIES,
            half_open = Self::HALF_OPEN.as_secs(),
            over_ike = rekey_ike / 2,
        );
        let around = Surroundings { folder: std::path::PathBuf::new(), cores: Vec::new() };
        read("simulated configuration", &text, &around).map(|(config, _warnings)| Arc::new(config))
    }
}
