//! An OpenLDAP server of a test's own: StartTLS with a CA made for the test, people and groups, Active Directory's attributes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sealwright_world::ports::free_address;

pub const BASE: &str = "dc=example,dc=test";
pub const ADMIN: &str = "cn=admin,dc=example,dc=test";
pub const PASSWORD: &str = "secret-of-the-test";

pub struct Slapd {
    /// With StartTLS.
    pub url: String,
    pub ldaps_url: String,
    /// PEM of the CA that the server's certificate is from.
    pub ca_file: PathBuf,
    /// PEM of a CA that it is not from.
    pub other_ca_file: PathBuf,
    pub password_file: PathBuf,
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

/// Attributes that OpenLDAP does not have: Active Directory's, under their own object identifiers.
const SCHEMA: &str = "
attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.782 NAME 'objectCategory' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.35 NAME 'employeeID' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'activeDirectoryPerson' SUP top AUXILIARY MAY ( objectSid $ userPrincipalName ) )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP top AUXILIARY MAY ( objectSid $ userPrincipalName $ sAMAccountName $ userAccountControl $ objectGUID $ objectCategory $ employeeID ) )
";

const PEOPLE: &str = "dn: dc=example,dc=test
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=test
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
objectClass: activeDirectoryPerson
uid: alice
cn: Alice (Ops) *, O'Neil; \"x\"
sn: Neil
mail: alice@example.test
employeeNumber: 17
userPrincipalName: alice@corp.example.test
objectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAUAQAAA==

dn: uid=ida,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: ida
cn: Ida
sn: Ida

dn: uid=twin,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: twin
cn: First twin
sn: Twin

dn: cn=Second twin,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: twin
cn: Second twin
sn: Twin

dn: uid=carl,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: carl
cn: Carl
sn: Carl
employeeNumber: 22

dn: uid=rita,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: rita
cn: Rita
sn: Rita
employeeNumber: 21

dn: ou=groups,dc=example,dc=test
objectClass: organizationalUnit
ou: groups

dn: cn=ca-operators,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: ca-operators
member: uid=carl,ou=people,dc=example,dc=test

dn: cn=ra-operators,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: ra-operators
member: uid=rita,ou=people,dc=example,dc=test

dn: cn=operators,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: operators
member: uid=alice,ou=people,dc=example,dc=test

dn: cn=night shift,ou=groups,dc=example,dc=test
objectClass: groupOfUniqueNames
cn: night shift
uniqueMember: cn=operators,ou=groups,dc=example,dc=test
uniqueMember: cn=everybody,ou=groups,dc=example,dc=test

dn: ou=departments,dc=example,dc=test
objectClass: organizationalUnit
ou: departments

dn: cn=production,ou=departments,dc=example,dc=test
objectClass: groupOfNames
cn: production
member: cn=operators,ou=groups,dc=example,dc=test

dn: cn=plant,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: plant
member: cn=production,ou=departments,dc=example,dc=test

dn: cn=everybody,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: everybody
member: cn=night shift,ou=groups,dc=example,dc=test
";

impl Slapd {
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, "").await
    }

    /// The same, with further lines for the database's configuration.
    pub async fn start_with(folder: &Path, further: &str) -> Self {
        let folder = folder.to_owned();
        certificates(&folder);
        std::fs::create_dir(folder.join("db")).expect("a folder");
        std::fs::write(folder.join("ad.schema"), SCHEMA).expect("written");
        std::fs::write(folder.join("people.ldif"), PEOPLE).expect("written");
        std::fs::write(folder.join("password"), PASSWORD).expect("written");
        let here = folder.display();
        let configuration = format!(
            "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include {here}/ad.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {here}/pid
TLSCACertificateFile {here}/ca.pem
TLSCertificateFile {here}/server.pem
TLSCertificateKeyFile {here}/server.key
security tls=1
database mdb
maxsize 16777216
suffix \"{BASE}\"
rootdn \"{ADMIN}\"
rootpw {PASSWORD}
directory {here}/db
overlay ppolicy
{further}
"
        );
        std::fs::write(folder.join("slapd.conf"), configuration).expect("written");
        let port = free_address().expect("a port").port();
        let mut slapd = Self {
            url: format!("ldap://127.0.0.1:{port}"),
            ldaps_url: format!("ldaps://127.0.0.1:{}", free_address().expect("a port").port()),
            ca_file: folder.join("ca.pem"),
            other_ca_file: folder.join("other-ca.pem"),
            password_file: folder.join("password"),
            folder,
            port,
            server: None,
        };
        slapd.restart().await;
        slapd.change(&["-a"], "people.ldif");
        slapd
    }

    /// Adds entries.
    pub fn add(&self, ldif: &str) {
        std::fs::write(self.folder.join("added.ldif"), ldif).expect("written");
        self.change(&["-a"], "added.ldif");
    }

    /// Removes an entry, also one that stands for another server.
    pub fn remove(&self, dn: &str) {
        let removed = Command::new("ldapdelete")
            .args(["-x", "-ZZ", "-M", "-H", &self.url, "-D", ADMIN, "-w", PASSWORD, dn])
            .env("LDAPTLS_CACERT", &self.ca_file)
            .status()
            .expect("ldapdelete");
        assert!(removed.success(), "{dn} is still there");
    }

    /// The server stands still and answers nothing, until it goes on.
    pub async fn stand_still(&self) {
        super::stop(self.server.as_ref().expect("a server").id()).await;
    }

    pub fn go_on(&self) {
        super::go_on(self.server.as_ref().expect("a server").id());
    }

    /// Changes entries as an administrator does, by LDIF.
    pub fn modify(&self, ldif: &str) {
        std::fs::write(self.folder.join("change.ldif"), ldif).expect("written");
        self.change(&[], "change.ldif");
    }

    fn change(&self, arguments: &[&str], file: &str) {
        let changed = Command::new("ldapmodify")
            .args(["-x", "-ZZ", "-H", &self.url, "-D", ADMIN, "-w", PASSWORD])
            .args(arguments)
            .arg("-f")
            .arg(self.folder.join(file))
            .env("LDAPTLS_CACERT", &self.ca_file)
            .output()
            .expect("ldapmodify (make test installs it)");
        assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    }

    /// Starts the server, also again.
    pub async fn restart(&mut self) {
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/sbin/slapd", "-d", "0", "-f"])
            .arg(self.folder.join("slapd.conf"))
            .args(["-h", &format!("{} {}", self.url, self.ldaps_url)])
            .stderr(Stdio::null())
            .spawn()
            .expect("slapd (make test installs it)");
        self.server = Some(server);
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("slapd did not start within ten seconds");
    }

    /// Ends the server as a power failure does.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("killed");
            server.wait().expect("ended");
        }
    }

    /// What ldapsearch finds, as LDIF.
    pub fn search(&self, filter: &str, attribute: &str) -> String {
        let found = Command::new("ldapsearch")
            .args(["-x", "-ZZ", "-LLL", "-o", "ldif-wrap=no", "-H", &self.url, "-D", ADMIN, "-w", PASSWORD, "-b", BASE])
            .args([filter, attribute])
            .env("LDAPTLS_CACERT", &self.ca_file)
            .output()
            .expect("ldapsearch");
        String::from_utf8_lossy(&found.stdout).into_owned()
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A CA, a certificate of it for 127.0.0.1 with its key, and a CA that it is not from.
pub fn certificates(folder: &Path) {
    let authority = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        std::fs::write(folder.join(name), certificate.pem()).expect("written");
        Issuer::new(parameters, key)
    };
    let ca = authority("ca.pem");
    authority("other-ca.pem");
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let certificate = parameters.signed_by(&key, &ca).expect("a certificate");
    std::fs::write(folder.join("server.pem"), certificate.pem()).expect("written");
    std::fs::write(folder.join("server.key"), key.serialize_pem()).expect("written");
}
