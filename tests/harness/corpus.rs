//! Secrets as they stand in output, and what looks like one and is none: drawn anew each time from the same seed.

/// A drawn secret, and the line that it stands in, or the lines.
pub struct Leak {
    pub line: String,
    pub secret: String,
}

/// As little of a secret as helps whoever looks for it.
const WINDOW: usize = 8;

impl Leak {
    /// Whether something of the secret is left in what has become of its line.
    pub fn is_in(&self, text: &str) -> bool {
        let parts = self.secret.lines().map(str::as_bytes);
        let windows = parts.flat_map(|part| part.windows(WINDOW.min(part.len().max(1))));
        let text = text.as_bytes();
        windows.into_iter().any(|window| text.windows(window.len()).any(|one| one == window))
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Draws that are the same in every run: SplitMix64.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("small")
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Tokens that say themselves what they are.
fn token(draws: &mut Draws, form: usize) -> String {
    match form {
        0 => format!("AKIA{}", draws.of(UPPER, 16)),
        1 => format!("ghp_{}", draws.of(WORD, 36)),
        2 => format!("github_pat_{}_{}", draws.of(WORD, 22), draws.of(WORD, 59)),
        3 => format!("glpat-{}", draws.of(URL, 20)),
        4 => format!("xoxb-{}-{}", draws.of("0123456789", 12), draws.of(WORD, 24)),
        5 => format!("AIza{}", draws.of(URL, 35)),
        6 => format!("sk_live_{}", draws.of(WORD, 24)),
        7 => format!("sk-ant-api03-{}", draws.of(URL, 80)),
        8 => format!("sk-proj-{}", draws.of(URL, 48)),
        9 => format!("npm_{}", draws.of(WORD, 36)),
        10 => format!("dop_v1_{}", draws.of(HEX, 64)),
        11 => format!("hf_{}", draws.of(WORD, 34)),
        12 => format!("SG.{}.{}", draws.of(URL, 22), draws.of(URL, 43)),
        13 => format!("hvs.{}", draws.of(WORD, 90)),
        14 => {
            let part = |draws: &mut Draws, length| draws.of(URL, length);
            let header = format!("eyJ{}", part(draws, 33));
            format!("{header}.eyJ{}.{}", part(draws, 60), part(draws, 43))
        }
        15 => format!("AGE-SECRET-KEY-1{}", draws.of(UPPER, 58)),
        16 => format!("pypi-AgEIcHlwaS5vcmc{}", draws.of(URL, 120)),
        17 => format!("ya29.{}", draws.of(URL, 60)),
        18 => format!("GOCSPX-{}", draws.of(URL, 28)),
        19 => format!("shpat_{}", draws.of(HEX, 32)),
        20 => format!("dapi{}", draws.of(HEX, 32)),
        21 => format!("whsec_{}", draws.of(WORD, 32)),
        22 => format!("gho_{}", draws.of(WORD, 36)),
        _ => format!("xapp-1-{}-{}", draws.of(UPPER, 11), draws.of(HEX, 64)),
    }
}

/// How many sorts there are.
const TOKENS: usize = 24;
const NAMED: usize = 22;

/// A private key as it comes out of a file, or of a log that puts something before each line.
fn key(draws: &mut Draws, round: usize) -> Leak {
    let kind =
        draws.one(&["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"]);
    let prefix = [
        "",
        "Nov 22 10:00:00 web-1 app[4711]: ",
        "2026-11-22T10:00:00.123456789Z stdout F ",
        "[pod/web-7f9c/app] ",
        "web_1  | ",
    ];
    let prefix = prefix[round % prefix.len()];
    let whole = draws.below(20) + 2;
    let mut body: Vec<String> = (0..whole).map(|_| draws.of(BASE64, 64)).collect();
    let rest = 4 * (draws.below(15) + 1);
    body.push(draws.of(BASE64, rest));
    let lines = [format!("-----BEGIN {kind}-----")].into_iter().chain(body.iter().cloned());
    let lines = lines.chain([format!("-----END {kind}-----"), "and goes on".to_owned()]);
    let line = lines.map(|line| format!("{prefix}{line}\n")).collect();
    Leak { line, secret: body.join("\n") }
}

/// Lines with a secret each.
pub fn leaks(of_each: usize) -> Vec<Leak> {
    let mut draws = Draws::new(1);
    let mut all = Vec::new();
    for round in 0..of_each {
        for form in 0..TOKENS {
            let secret = token(&mut draws, form);
            let line = match round % 5 {
                0 => format!("2026-11-21T10:00:00Z INFO using key {secret} for upload"),
                1 => format!("{{\"level\":\"debug\",\"value\":\"{secret}\",\"n\":{round}}}"),
                2 => format!("curl -H 'X-Key: {secret}' https://api.example.com/v1"),
                3 => format!("export THE_VALUE={secret}"),
                _ => secret.clone(),
            };
            all.push(Leak { line, secret });
        }
        for form in 0..NAMED {
            all.push(named(&mut draws, form));
        }
        all.push(key(&mut draws, round));
    }
    all
}

/// Secrets that are one by where they stand.
fn named(draws: &mut Draws, form: usize) -> Leak {
    let word = |draws: &mut Draws| {
        let words = ["hunter", "dragon", "Sommer", "letmein", "s3cret"];
        format!("{}{}", draws.one(&words), draws.below(9000) + 1000)
    };
    let long = draws.of(WORD, 32);
    let short = word(draws);
    // As a manager of passwords draws them.
    let mut drawn = draws.of("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ", 3);
    drawn.push_str(&draws.of("23456789", 2));
    drawn.push_str(&draws.of("!#%^*_+-~?@&;,)]}", 2));
    drawn.push_str(&draws.of(WORD, 9));
    let basic = draws.of(BASE64, 24);
    let (line, secret) = match form {
        0 => (format!("DB_PASSWORD={short} DB_HOST=db-1"), short),
        1 => (format!("password: {short}"), short),
        2 => (format!("{{\"user\":\"app\",\"password\":\"{short}\"}}"), short),
        3 => (format!("postgres://app:{short}@db-1.internal:5432/app?sslmode=require"), short),
        4 => (format!("mysqldump --password={short} app"), short),
        5 => (format!("redis://:{short}@cache:6379/0"), short),
        6 => (format!("Authorization: Bearer {long}"), long),
        7 => (format!("> Cookie: session={long}; theme=dark"), long),
        8 => (format!("api_key = \"{long}\""), long),
        9 => (format!("AWS_SECRET_ACCESS_KEY={long}"), long),
        10 => (format!("client_secret: '{long}'"), long),
        11 => (format!("AccountKey={long}==;EndpointSuffix=core.windows.net"), long),
        12 => (format!("?access_token={long}&state=1"), long),
        13 => (format!("DB_PASSWORD={drawn}"), drawn),
        14 => (format!("export PGPASSWORD={drawn} PGHOST=db"), drawn),
        15 => (format!("passwd: {drawn}"), drawn),
        16 => (format!("password=\"{drawn}\""), drawn),
        17 => (format!("Server=db;User=app;Password={short};Database=x"), short),
        18 => (format!("Authorization: Basic {basic}=="), basic),
        19 => (format!("< Set-Cookie: sid={long}; Path=/; HttpOnly"), long),
        20 => (
            format!("https://hooks.slack.com/services/T0000/B0000/{}", &long[..24]),
            long[..24].to_owned(),
        ),
        _ => (format!("{{\\\"password\\\":\\\"{short}\\\"}}"), short),
    };
    Leak { line, secret }
}

/// Lines without any: what logs, builds and pages are made of.
pub fn lookalikes(of_each: usize) -> Vec<String> {
    let mut draws = Draws::new(2);
    let mut all = Vec::new();
    for _ in 0..of_each {
        let hex = |draws: &mut Draws, length| draws.of(HEX, length);
        let uuid = format!(
            "{}-{}-4{}-a{}-{}",
            hex(&mut draws, 8),
            hex(&mut draws, 4),
            hex(&mut draws, 3),
            hex(&mut draws, 3),
            hex(&mut draws, 12)
        );
        let (sha1, sha256) = (hex(&mut draws, 40), hex(&mut draws, 64));
        let image = draws.of(BASE64, 400);
        let (name, number) = (draws.of(LOWER, 7), draws.below(60_000));
        let integrity = draws.of(BASE64, 86);
        all.extend([
            format!("commit {sha1} (HEAD -> main, origin/main)"),
            format!("Digest: sha256:{sha256}"),
            format!("{sha256}  release-{number}.tar.gz"),
            format!("GET /items/{uuid}?page={number} 200 {number}us \"curl/8.5.0\""),
            format!("<img alt=\"\" src=\"data:image/png;base64,{image}==\">"),
            format!("\"integrity\": \"sha512-{integrity}==\","),
            format!("var {name}=function(e,t){{return t.token=e,t.password=n,t.secret||e.key}};"),
            format!("{{type:\"password\",name:\"{name}\",required:!0,token:a.{name}}}"),
            format!("error: unexpected token `{name}` at line {number}"),
            format!("kubelet: MountVolume.SetUp succeeded for volume \"{name}-token\" pod {uuid}"),
            "FATAL: password authentication failed for user \"app\"".to_owned(),
            format!("sshd[{number}]: Accepted publickey for {name} from 10.0.0.7 port {number} ssh2: ED25519 SHA256:{}", draws.of(BASE64, 43)),
            format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} {name}@host", draws.of(BASE64, 43)),
            format!("etag: W/\"{}\" cache-control: max-age={number}", hex(&mut draws, 20)),
            format!("at com.example.{name}.TokenService.refresh(TokenService.java:{number})"),
            "password=******** token=${TOKEN} secret=<set in vault> api_key=%s".to_owned(),
            format!("https://{name}.example.com:8443/a/b?x=1#frag ftp://[::1]:{number}/@{name}"),
            format!("{number} packets transmitted, time {number}ms, rtt min/avg/max = 0.1/0.2/0.3"),
            "-----BEGIN CERTIFICATE-----".to_owned(),
            format!("MII{}", draws.of(BASE64, 61)),
        ]);
    }
    all
}
