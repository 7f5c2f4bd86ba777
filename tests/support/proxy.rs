//! The web servers that people put in front, with the examples of `deploy/` as they are: only addresses and paths are the test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use sealwright_world::browser::Browser;
use sealwright_world::ports::free_address;

use super::{TestWorld, run};

const PASSWORD: &str = "password-of-the-test";
const PEOPLE: [&str; 3] = ["alice", "bob", "carl"];

/// Which server.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Apache,
    Nginx,
}

/// By what the portal knows the server.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    Secret,
    /// `proxy.pem`, `proxy.key` and the authority of the portal's certificate, `ca.pem`, in this folder.
    MutualTls(&'a Path),
    /// What nginx signs its assertions with: the text of `assertion-signer.json`.
    Assertion(&'a str),
}

/// A running server. Ends with the test.
pub struct Proxy {
    pub pages_url: String,
    pub agents_url: String,
    pub public_url: String,
    pub ca_file: PathBuf,
    server: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.ca_file.with_file_name("error.log")).unwrap_or_default();
            eprintln!("the web server's log:\n{log}");
        }
        // Asked to end, so that its workers end with it.
        let id = nix::unistd::Pid::from_raw(self.server.id().cast_signed());
        let _gone = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        drop(self.server.wait());
    }
}

impl Proxy {
    /// Starts the server before the portal of `test`.
    pub async fn start(kind: Kind, test: &TestWorld, proof: Proof<'_>) -> Self {
        let folder = test.path("proxy");
        std::fs::create_dir(&folder).expect("a folder");
        // The server's workers are no root and read who its people are.
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(test.path(""), readable).expect("permissions");
        let authority = Authority::new(&folder);
        authority.certify(
            &folder,
            "tls",
            &["localhost", "sealwright.example.org"],
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        let [secure, plain] = [(); 2].map(|()| free_address().expect("a port").port());
        let people: String = PEOPLE.map(|person| format!("{person}:{{PLAIN}}{PASSWORD}\n")).concat();
        let secret = &test.world.secret;
        let here = format!("{}/", folder.display());
        let example = match kind {
            Kind::Apache => {
                for person in PEOPLE {
                    let hashed = run("openssl", &["passwd", "-apr1", PASSWORD], &[]);
                    append(&folder, "people", &format!("{person}:{}\n", hashed.trim()));
                }
                include_str!("../../deploy/apache.conf")
            }
            Kind::Nginx => {
                write(&folder, "people", &people);
                include_str!("../../deploy/nginx.conf")
            }
        };
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        let (of_apache, of_nginx) = match proof {
            Proof::Secret => (
                format!("RequestHeader set X-Sealwright-Proxy \"{secret}\"\n"),
                format!("proxy_set_header X-Sealwright-Proxy {secret};\n"),
            ),
            Proof::MutualTls(_) => (
                include_str!("../../deploy/apache-mutual-tls.conf").replace("/etc/sealwright/", &here),
                include_str!("../../deploy/nginx-mutual-tls.conf").replace("/etc/sealwright/", &here),
            ),
            // Apache has no module that signs.
            Proof::Assertion(signer) => {
                write(&folder, "assertion-signer.json", signer);
                write(&folder, "nginx-assertion.js", include_str!("../../deploy/nginx-assertion.js"));
                let lines = include_str!("../../deploy/nginx-assertion.conf").replace("/etc/sealwright/", &here);
                (String::new(), lines)
            }
        };
        write(&folder, "proxy-proof.apache", &of_apache);
        write(&folder, "proxy-proof.nginx", &of_nginx);
        let mut adapted = example.replace("/etc/sealwright/", &here);
        let mut pages = test.world.pages.to_string();
        if let Proof::MutualTls(certificates) = proof {
            let read = |name: &str| std::fs::read_to_string(certificates.join(name)).expect("a file");
            let (certificate, key) = (read("proxy.pem"), read("proxy.key"));
            let old_form = run(
                "openssl",
                &["pkey", "-traditional", "-in", &certificates.join("proxy.key").display().to_string()],
                &[],
            );
            write(&folder, "portal-ca.pem", &read("ca.pem"));
            write(&folder, "proxy-with-key.pem", &format!("{certificate}{old_form}"));
            write(&folder, "proxy.pem", &certificate);
            write(&folder, "proxy.key", &key);
            adapted = adapted.replace("http://sealwright_pages", "https://sealwright_pages");
            adapted = adapted.replace("http://${sealwright_pages}", "https://${sealwright_pages}");
            pages = format!("localhost:{}", test.world.pages.port());
        }
        if let Proof::Assertion(_) = proof {
            adapted = adapted.replace("$remote_user", "$assertion");
        }
        for (theirs, ours) in [
            ("127.0.0.1:8001", pages),
            ("127.0.0.1:8002", address(&test.world.agent_url)),
            ("127.0.0.1:8003", address(&test.world.public_url)),
            ("*:443", format!("127.0.0.1:{secure}")),
            ("*:80", format!("127.0.0.1:{plain}")),
            ("listen 443", format!("listen 127.0.0.1:{secure}")),
            ("listen 80", format!("listen 127.0.0.1:{plain}")),
            ("agents.example.org", "localhost".to_owned()),
        ] {
            adapted = adapted.replace(theirs, &ours);
        }
        let log = std::fs::File::create(folder.join("output")).expect("a log");
        let mut server = match kind {
            Kind::Apache => apache(&folder, &adapted, [secure, plain]),
            Kind::Nginx => nginx(&folder, &adapted),
        };
        let server = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a web server (make test installs it)");
        let proxy = Self {
            pages_url: format!("https://sealwright.example.org:{secure}"),
            agents_url: format!("https://localhost:{secure}"),
            public_url: format!("http://127.0.0.1:{plain}"),
            ca_file: authority.file,
            server,
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", secure)).await.is_ok() {
                return proxy;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{kind:?} did not start: {}", std::fs::read_to_string(folder.join("output")).unwrap_or_default());
    }

    /// A client that trusts the server and signs in as a person.
    pub fn client(&self, person: Option<&str>) -> reqwest::ClientBuilder {
        let pem = std::fs::read(&self.ca_file).expect("a certificate");
        let port = self.pages_url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(person) = person {
            let credentials = data_encoding::BASE64.encode(format!("{person}:{PASSWORD}").as_bytes());
            headers.insert("authorization", format!("Basic {credentials}").parse().expect("a header"));
        }
        reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
            .resolve("sealwright.example.org", std::net::SocketAddr::from(([127, 0, 0, 1], port)))
            .default_headers(headers)
    }

    /// A browser of a person who has signed in at the server.
    pub fn browser(&self, person: &str) -> Browser {
        Browser::with(&self.pages_url, self.client(Some(person))).expect("a browser")
    }
}

fn apache(folder: &Path, example: &str, ports: [u16; 2]) -> Command {
    let modules =
        ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "headers", "proxy"];
    let modules = modules.into_iter().chain(["proxy_http", "ssl", "socache_shmcb"]);
    let modules: String =
        modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).collect();
    let here = folder.display();
    let text = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nErrorLog {here}/error.log\nDefaultRuntimeDir {here}\n\
         Listen 127.0.0.1:{}\nListen 127.0.0.1:{}\n{modules}User www-data\nGroup www-data\n{example}",
        ports[0], ports[1]
    );
    write(folder, "server.conf", &text);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "apache2", "-D", "FOREGROUND", "-f"]).arg(folder.join("server.conf"));
    command
}

fn nginx(folder: &Path, example: &str) -> Command {
    let here = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {here}/{name};\n"))
        .concat();
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\ndaemon off;\npid {here}/pid;\nerror_log {here}/error.log;\nuser www-data;\nworker_processes 1;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{example}}}\n"
    );
    write(folder, "server.conf", &text);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "nginx", "-c"]).arg(folder.join("server.conf"));
    command
}

/// A CA of the test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM of its certificate.
    pub file: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let file = folder.join("ca.pem");
        std::fs::write(&file, certificate.pem()).expect("written");
        Self { issuer: Issuer::new(parameters, key), file }
    }

    /// Writes `<name>.pem` and `<name>.key`.
    pub fn certify(&self, folder: &Path, name: &str, dns: &[&str], purpose: ExtendedKeyUsagePurpose) {
        let names: Vec<String> = dns.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("parameters");
        parameters.extended_key_usages = vec![purpose];
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        write(folder, &format!("{name}.pem"), &certificate.pem());
        write(folder, &format!("{name}.key"), &key.serialize_pem());
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn append(folder: &Path, name: &str, text: &str) {
    let before = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    write(folder, name, &(before + text));
}
