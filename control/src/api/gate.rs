//! Whom the API lets in, and as whom. A reload may say so anew; who came in as something else then leaves, and may come back as what he is.

use super::access::{Operators, Role};
use crate::config::checked::{Api, ApiTcp};
use rustix::process::geteuid;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What all doors ask. Whoever has one may change it.
#[derive(Clone)]
pub struct Gate(watch::Sender<LetIn>);

struct LetIn {
    admins: Vec<u32>,
    by_tcp: Option<ByTcp>,
}

/// How those by TCP come in.
#[derive(Clone)]
pub struct ByTcp {
    /// Our certificate, and whose clients' are believed.
    pub acceptor: TlsAcceptor,
    /// Who is known.
    pub operators: Arc<Operators>,
    /// What makes theirs believed.
    client_ca: Option<[u8; 32]>,
}

impl Gate {
    /// As the configuration wants it.
    pub fn new(config: &Api) -> Self {
        let by_tcp = config.tcp.as_ref().map(|tcp| ByTcp::new(tcp, Operators::new(config.operators.clone())));
        Self(watch::Sender::new(LetIn { admins: config.admins.clone(), by_tcp }))
    }

    /// As another one wants it.
    pub fn follow(&self, config: &Api) {
        self.0.send_modify(|let_in| {
            let before = let_in.by_tcp.take();
            let_in.admins.clone_from(&config.admins);
            let_in.by_tcp = config.tcp.as_ref().map(|tcp| match &before {
                Some(before) => before.followed_by(tcp, config),
                None => ByTcp::new(tcp, Operators::new(config.operators.clone())),
            });
        });
    }

    /// What a user of this system may. Root, whoever the daemon runs as, and whom the configuration names may change things; who else may
    /// open the socket may look.
    pub fn role(&self, uid: u32) -> Role {
        self.0.borrow().role(uid)
    }

    /// Until that user may something else.
    pub async fn is_another_role(&self, uid: u32, role: Role) {
        let mut news = self.0.subscribe();
        drop(news.wait_for(|let_in| let_in.role(uid) != role).await);
    }

    /// How those by TCP come in, if they do.
    pub fn by_tcp(&self) -> Option<ByTcp> {
        self.0.borrow().by_tcp.clone()
    }

    /// Until others are known by TCP, or other certificates are believed.
    pub async fn are_others(&self, operators: &Arc<Operators>) {
        let are_these = |by_tcp: &ByTcp| Arc::ptr_eq(&by_tcp.operators, operators);
        let mut news = self.0.subscribe();
        drop(news.wait_for(|let_in| !let_in.by_tcp.as_ref().is_some_and(are_these)).await);
    }
}

impl LetIn {
    fn role(&self, uid: u32) -> Role {
        let may = uid == 0 || uid == geteuid().as_raw() || self.admins.contains(&uid);
        if may { Role::Admin } else { Role::Read }
    }
}

impl ByTcp {
    fn new(tcp: &ApiTcp, operators: Operators) -> Self {
        Self {
            acceptor: TlsAcceptor::from(Arc::clone(&tcp.tls)),
            operators: Arc::new(operators),
            client_ca: tcp.client_ca,
        }
    }

    /// Another certificate of ours is no reason for anybody to leave.
    fn followed_by(&self, tcp: &ApiTcp, config: &Api) -> Self {
        match self.client_ca == tcp.client_ca && self.operators.are(&config.operators) {
            true => Self { acceptor: TlsAcceptor::from(Arc::clone(&tcp.tls)), ..self.clone() },
            false => Self::new(tcp, self.operators.followed_by(config.operators.clone())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::api::tls;
    use crate::config::checked::{Operator, TokenHash};
    use adit_crypto::random::SeededRandom;
    use adit_crypto::secret::SecretBytes;
    use adit_dataplane::time::Instant;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn operator(name: &str, role: Role, token: &str) -> Operator {
        let token = Some(TokenHash::of(token.as_bytes()));
        Operator { name: name.to_owned(), role, token, certificate_name: None }
    }

    /// By TCP, for these.
    pub(crate) fn api(client_ca: Option<[u8; 32]>, operators: Vec<Operator>) -> Api {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pki");
        let read = |name: &str| std::fs::read(format!("{folder}/{name}")).unwrap();
        let chain = read("headend.pem");
        let tls = tls::server(&chain, &SecretBytes::from(&read("headend.key")[..]), None).unwrap();
        let certificate = tls::named(&chain).unwrap();
        let tcp = Some(ApiTcp { listen: Vec::new(), tls, certificate, chain: [0; 32], client_ca });
        Api { tcp, operators, ..Api::local("/none") }
    }

    fn boss_and_viewer() -> Vec<Operator> {
        vec![operator("boss", Role::Admin, "b"), operator("viewer", Role::Read, "v")]
    }

    fn is_over(waiting: impl Future<Output = ()>) -> bool {
        pin!(waiting).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn another_certificate_of_ours_is_shown_to_who_comes_and_nobody_leaves() {
        let first = api(None, boss_and_viewer());
        let gate = Gate::new(&first);
        let before = gate.by_tcp().unwrap();
        let renewed = api(None, boss_and_viewer());
        gate.follow(&renewed);
        let now = gate.by_tcp().unwrap();
        assert!(Arc::ptr_eq(now.acceptor.config(), &renewed.tcp.unwrap().tls), "it is the new one");
        assert!(!is_over(gate.are_others(&before.operators)));
    }

    #[test]
    fn who_comes_by_tcp_leaves_when_others_are_known_or_believed() {
        let mut promoted = boss_and_viewer();
        promoted[1].role = Role::Admin;
        for (what, other) in [
            ("one more", api(None, [boss_and_viewer(), vec![operator("c", Role::Read, "c")]].concat())),
            ("one less", api(None, boss_and_viewer()[..1].to_vec())),
            ("another role", api(None, promoted)),
            ("another authority", api(Some([1; 32]), boss_and_viewer())),
            ("nobody by TCP", Api::local("/none")),
        ] {
            let gate = Gate::new(&api(None, boss_and_viewer()));
            let before = gate.by_tcp().unwrap();
            gate.follow(&other);
            assert!(is_over(gate.are_others(&before.operators)), "{what}");
        }
    }

    #[test]
    fn logins_at_the_page_outlast_a_reload_unless_their_operator_is_another() {
        let gate = Gate::new(&api(None, boss_and_viewer()));
        let (mut random, now) = (SeededRandom::new(1), Instant::ZERO);
        let operators = gate.by_tcp().unwrap().operators;
        let cookies = ["b", "v"].map(|token| {
            let who = operators.by_token(token.as_bytes()).unwrap();
            operators.logins().begin(who, now, &mut random)
        });
        let names = |gate: &Gate| {
            let operators = gate.by_tcp().unwrap().operators;
            let whose = |cookie: &String| operators.logins().whose(cookie.as_bytes(), now);
            cookies.iter().filter_map(whose).map(|who| who.name.to_string()).collect::<Vec<_>>()
        };
        gate.follow(&api(Some([1; 32]), boss_and_viewer()));
        assert_eq!(names(&gate), ["boss", "viewer"], "they are the same");
        gate.follow(&api(Some([1; 32]), vec![operator("boss", Role::Read, "b"), operator("viewer", Role::Read, "v")]));
        assert_eq!(names(&gate), ["viewer"], "the other one may less now");
        gate.follow(&api(Some([1; 32]), vec![operator("viewer", Role::Read, "w")]));
        assert_eq!(names(&gate), [""; 0], "the token was taken back");
    }

    #[test]
    fn users_of_this_system_leave_when_they_may_something_else() {
        const SOMEBODY: u32 = 4_000_000_001;
        let admins = |admins: &[u32]| Api { admins: admins.to_vec(), ..Api::local("/none") };
        let gate = Gate::new(&admins(&[SOMEBODY]));
        let leaves = |gate: &Gate, uid, role| is_over(gate.is_another_role(uid, role));
        assert_eq!(gate.role(SOMEBODY), Role::Admin);
        gate.follow(&admins(&[SOMEBODY, SOMEBODY + 1]));
        assert!(!leaves(&gate, SOMEBODY, Role::Admin));
        assert!(leaves(&gate, SOMEBODY + 1, Role::Read));
        gate.follow(&admins(&[]));
        assert!(leaves(&gate, SOMEBODY, Role::Admin));
        assert!(!leaves(&gate, 0, Role::Admin), "root always may");
    }
}
