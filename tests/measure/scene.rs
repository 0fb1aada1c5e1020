//! A world with one more verb, and the recipients in it.

use std::time::{SystemTime, UNIX_EPOCH};

use policy::Timestamp;
use tests::owner::Share;
use tests::world::{Setup, World};
use wire::handle::Identity;

/// Writes 64 KiB as often as it is told.
const BULK: &str = r#"
[verb."test.bulk"]
summary = "Zeros"
effect  = "read"
run     = { exec = { argv = ["/bin/dd", "if=/dev/zero", "bs=64K", "count={blocks}", "status=none"] } }
timeout = "5m"
output  = { max = "4GiB", redact = [] }
[verb."test.bulk".params]
blocks = { type = "int", min = 1, max = 65536, required = true }
"#;

/// A world with a recipient, `vendor-b`.
pub struct Scene {
    pub world: World,
    identities: Vec<Identity>,
}

impl Scene {
    /// With the limits that the product comes with.
    pub fn new() -> Self {
        Self::with_limits("")
    }

    /// With these limits.
    pub fn with_limits(limits: &str) -> Self {
        Self::with(|setup| setup.limits = limits.to_owned())
    }

    /// With this changed.
    pub fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        setup.verbs += BULK;
        setup.policy =
            setup.policy.replace("\"test.true\" = {}", "\"test.true\" = {}, \"test.bulk\" = {}");
        change(&mut setup);
        let world = setup.start();
        let vendor = world.vendor();
        world.alice().add_contact("vendor-b", &vendor);
        let text =
            std::fs::read_to_string(vendor.home().join("identity.txt")).expect("read the key");
        let identities = Identity::parse(&text, || None).expect("it is a key");
        Self { world, identities }
    }

    /// Opens a share of these verbs to the recipient.
    pub fn open(&self, verbs: &[&str]) -> Share {
        self.world.alice().open(verbs)
    }

    /// The recipient's keys.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// A pid of this world's daemon by its role.
    pub fn pid(&self, role: &str) -> u32 {
        self.world.process(role).unwrap_or_else(|| panic!("no {role} runs"))
    }

    /// The relay's pid.
    pub fn relay(&self) -> u32 {
        self.world.relay.as_ref().expect("the relay runs").pid()
    }
}

/// The time now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("it is before the end of time"))
}
