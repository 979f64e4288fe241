//! The servers that plugins may reach.

use secrecy::ExposeSecret;
use url::Url;

use super::*;

const SECRET: &str = "s3cret-token";

fn with_secret(source: &str) -> Result<Config, Problems> {
    parse_with(source, &|name| (name == "TOKEN").then(|| SECRET.into()))
}

#[test]
fn servers_are_kept_as_urls_have_them_in_the_order_of_the_file() {
    let source = r#"
[bots.a]
plugin = "a"
[bots.a.http."Status.Example.COM"]
headers = { Authorization = "Bearer ${TOKEN}", x-version = "2" }
[bots.a.http."bücher.example:8443"]
[bots.a.http.intranet]
private = true
plain = true
[bots.a.http."[2606:4700:0::1111]"]
[bots.a.http."127.1:80"]
private = true
"#;
    let config = with_secret(source).unwrap();
    let hosts = &bot(&config, "a").http;
    let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["status.example.com", "xn--bcher-kva.example:8443", "intranet", "[2606:4700::1111]", "127.0.0.1:80"]
    );
    let headers = hosts[0].headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    assert_eq!(headers.collect::<Vec<_>>(), [("authorization", "Bearer s3cret-token"), ("x-version", "2")]);
    assert_eq!((hosts[0].private, hosts[0].plain), (false, false));
    assert_eq!((hosts[2].private, hosts[2].plain), (true, true));
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn a_ports_meaning_follows_from_the_name_and_the_scheme() {
    let covered = |name: &str, plain: bool| {
        let config = parse(&format!("bots.a = {{ plugin = 'a', http.'{name}' = {{ plain = {plain} }} }}"));
        let config = config.unwrap();
        let host = &bot(&config, "a").http[0];
        let asked = [(true, 443), (false, 80), (true, 8443), (false, 8443), (false, 443), (true, 80)];
        asked.map(|(is_https, port)| host.covers(is_https, port))
    };
    assert_eq!(covered("a.example", false), [true, false, false, false, false, false]);
    assert_eq!(covered("a.example", true), [true, true, false, false, false, false]);
    assert_eq!(covered("a.example:8443", false), [false, false, true, false, false, false]);
    assert_eq!(covered("a.example:8443", true), [false, false, true, true, false, false]);
    assert_eq!(covered("a.example:443", true), [true, false, false, false, true, false]);
    assert_eq!(covered("a.example:80", true), [false, true, false, false, false, true]);
}

#[test]
fn what_is_no_server_or_no_header_is_told_with_its_place() {
    let source = r#"
[bots.a]
plugin = "a"
[bots.a.http]
"https://a.example" = {}
"*.example" = {}
"a.example/path" = {}
"ann:hunter2@a.example" = {}
"a.example:" = {}
"a.example:0" = {}
"a.example:99999" = {}
"" = {}
localhost = {}
"10.0.0.5:8080" = {}
"0x7f.1" = {}
[bots.a.http."b.example"]
privat = true
headers = { host = "x", "x key" = "y", x-one = "1", X-One = "2", x-none = "${NONE}", x-empty = "  " }
[bots.a.http."d.example".headers]
x-number = 1
[bots.a.http.c.example]
plain = true
[bots.b]
plugin = "b"
http = [ "a.example" ]
private = true
"#;
    let text = plain(source);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn two_tables_cannot_be_one_server() {
    let source = r#"
[bots.a]
plugin = "a"
[bots.a.http."a.example"]
[bots.a.http."A.EXAMPLE:443"]
[bots.a.http."b.example:80"]
plain = true
[bots.a.http."b.example"]
plain = true
[bots.a.http."c.example:80"]
[bots.a.http."c.example"]
"#;
    // Of the last two, one is https on port 80 and the other on port 443.
    insta::assert_snapshot!(rendered(&problems(source)));
}

#[test]
fn no_report_shows_a_headers_value() {
    let source = format!(
        "host.lisen = 1\n[bots.a]\nplugin = 'a'\n[bots.a.http.'a.example']\nauthorization = '{SECRET}'\n\
         headers = {{ x-pat = '{SECRET}\\n', '{SECRET} x' = 'y', x-id = ['{SECRET}'], host = '{SECRET}' }}\n\
         [bots.a.http.'b.example']\nheaders = '{SECRET}'\n[bots.a.http.'c.example'.haeders]\nx-pat = '{SECRET}'\n\
         [bots.a.http.'d.example'.headers]\nx-pat = \"Bearer ${{TOKEN}} ${{NONE}}\"\nx-line = \"${{LINE}}\""
    );
    for source in [source.clone(), format!("{source}\nx x\n")] {
        let problems = parse_with(&source, &|name| match name {
            "TOKEN" => Some(SECRET.into()),
            "LINE" => Some(format!("{SECRET}\n{SECRET}")),
            _ => None,
        });
        let problems = problems.unwrap_err();
        for report in [rendered(&problems), format!("{problems:#}"), format!("{problems:?}")] {
            assert!(!report.contains("s3cret"), "{report}");
        }
    }
}

proptest! {
    #[test]
    fn a_name_that_is_taken_is_a_urls_host_and_port(name in "[a-zA-Z0-9ü.:\\[\\]%*@/ -]{0,20}") {
        if let Ok((host, port)) = HttpHost::parse_name(&name) {
            let url = Url::parse(&format!("https://{name}/")).unwrap();
            prop_assert_eq!(url.host_str(), Some(host.as_str()));
            prop_assert_eq!(url.port_or_known_default(), port.or(Some(443)));
            prop_assert_eq!(url.path(), "/");
            let again = port.map_or(host.clone(), |port| format!("{host}:{port}"));
            prop_assert_eq!(HttpHost::parse_name(&again), Ok((host, port)));
        }
    }
}
