//! `/console/`: the files of the web console, which are part of the program.
//!
//! Not what the console does: its scripts ask the ELB API and `/v1` like any other client, and may
//! no more than that. Invariants: a file holds no secret, and asks no other host for anything; no
//! text that comes from elsewhere can become a script (the Content-Security-Policy).

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use quick_xml::escape::partial_escape;

use super::answer::Trouble;
use crate::control::hex;

/// Where the console is; only `guard.rs` stands in front of it, as its files hold no secrets.
pub(super) const ROOT: &str = "/console/";

/// A file as it is served.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    /// A strong validator (RFC 9110 §8.8.3): the start of the content's hash.
    tag: String,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A row of the table below; files are read when elbow is built.
macro_rules! file {
    ($name:literal, $media_type:expr) => {
        File::new(
            $name,
            $media_type,
            include_bytes!(concat!("console/", $name)),
        )
    };
}

static FILES: LazyLock<[File; 30]> = LazyLock::new(|| {
    [
        file!("index.html", HTML),
        file!("style.css", "text/css; charset=utf-8"),
        file!("icon.svg", "image/svg+xml"),
        file!("main.js", SCRIPT),
        file!("api.js", SCRIPT),
        file!("model.js", SCRIPT),
        file!("dom.js", SCRIPT),
        file!("form.js", SCRIPT),
        file!("sign_in.js", SCRIPT),
        file!("sha256.js", SCRIPT),
        file!("list.js", SCRIPT),
        file!("detail.js", SCRIPT),
        file!("description.js", SCRIPT),
        file!("stickiness.js", SCRIPT),
        file!("instances.js", SCRIPT),
        file!("health_check.js", SCRIPT),
        file!("listeners.js", SCRIPT),
        file!("monitoring.js", SCRIPT),
        file!("attributes.js", SCRIPT),
        file!("tags.js", SCRIPT),
        file!("live.js", SCRIPT),
        file!("chart.js", SCRIPT),
        file!("steady.js", SCRIPT),
        file!("flow.js", SCRIPT),
        file!("words.js", SCRIPT),
        file!("create.js", SCRIPT),
        file!("drains.js", SCRIPT),
        file!("explain.js", SCRIPT),
        file!("shards.js", SCRIPT),
        file!("cluster.js", SCRIPT),
    ]
});

/// What every answer below [`ROOT`] says. A browser asks for each file anew, and gets it again only
/// if it has changed: scripts of two versions of elbow never meet.
const FIELDS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (header::CACHE_CONTROL, "no-cache"),
];

impl File {
    fn new(name: &'static str, media_type: &'static str, content: &'static [u8]) -> Self {
        let hash = hex::to_text(&digest(&SHA256, content).as_ref()[..16]);
        Self {
            name,
            media_type,
            content,
            tag: format!("\"{hash}\""),
        }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let tag = [(header::ETAG, self.tag.as_str())];
        if is_known(&self.tag, asked) {
            return (StatusCode::NOT_MODIFIED, FIELDS, tag).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.media_type)];
        (FIELDS, tag, kind, self.content).into_response()
    }
}

/// Whether the client has what bears this tag (RFC 9110 §13.1.2, where weak tags count as well).
fn is_known(tag: &str, asked: &HeaderMap) -> bool {
    let fields = asked.get_all(header::IF_NONE_MATCH).iter();
    let lists = fields.filter_map(|field| field.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',').map(str::trim));
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Whether that path belongs to the console.
pub(super) fn has(path: &str) -> bool {
    path.starts_with(ROOT) || path == ROOT.trim_end_matches('/')
}

/// The console's part of the admin address.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/console", get(async || Redirect::permanent(ROOT)))
        .route(
            ROOT,
            get(async |asked: HeaderMap| show("index.html", &asked)),
        )
        .route(
            "/console/{*name}",
            get(async |Path(name): Path<String>, asked: HeaderMap| show(&name, &asked)),
        )
}

fn show(name: &str, asked: &HeaderMap) -> Response {
    let file = FILES.iter().find(|file| file.name == name);
    file.map_or_else(
        || (FIELDS, Trouble::not_found("the console has no such file")).into_response(),
        |file| file.answer(asked),
    )
}

/// Why somebody is not let in, for people: a page without style or script, which would be refused
/// like it.
pub(super) fn refuse(status: StatusCode, message: &str) -> Response {
    let page = include_str!("console/refused.html").replace("{message}", &partial_escape(message));
    (status, FIELDS, [(header::CONTENT_TYPE, HTML)], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser fetches before anybody has clicked on anything, and all that there is.
    const FIRST_VIEW_BYTES_MAX: usize = 100 * 1024;
    const BYTES_MAX: usize = 128 * 1024;

    /// In front of the name of a module that comes with the one that has it, and of one that is
    /// fetched when it is asked for.
    const WITH_IT: &str = "from \"./";
    const LATER: &str = "import(\"./";

    fn text(file: &File) -> &'static str {
        str::from_utf8(file.content).expect("they are texts")
    }

    /// What stands between the quotes behind each `before`.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        let rests = text.split(before).skip(1);
        rests.map(|rest| rest.split('"').next().expect("there is a first part"))
    }

    #[test]
    fn what_files_ask_for_is_there_and_nowhere_else() {
        let is_there = |name: &str| FILES.iter().any(|file| file.name == name);
        for file in FILES.iter() {
            let text = text(file);
            for name in quoted(text, "from \"").chain(quoted(text, "import(\"")) {
                let name = name.strip_prefix("./").expect("modules are neighbours");
                assert!(is_there(name), "{} imports {name}", file.name);
            }
            let targets = quoted(text, "src=\"").chain(quoted(text, "href=\""));
            for name in targets.filter(|target| !target.starts_with('#')) {
                assert!(is_there(name), "{} refers to {name}", file.name);
            }
            let is_drawing = file.media_type == "image/svg+xml";
            assert!(is_drawing || !text.contains("://"), "{}", file.name);
        }
    }

    /// What is fetched once the page is, by references and by what stands behind each `before`.
    fn reached(before: &[&'static str]) -> Vec<&'static str> {
        let mut reached = vec!["index.html"];
        let mut index = 0;
        while let Some(name) = reached.get(index) {
            let file = FILES.iter().find(|file| file.name == *name);
            let text = text(file.expect("the other test has seen it"));
            let modules = before.iter().flat_map(|before| quoted(text, before));
            let others = quoted(text, "src=\"").chain(quoted(text, "href=\""));
            for name in modules.chain(others) {
                if !name.starts_with('#') && !reached.contains(&name) {
                    reached.push(name);
                }
            }
            index += 1;
        }
        reached
    }

    #[test]
    fn every_module_is_reached_from_the_page() {
        let mut names: Vec<_> = FILES.iter().map(|file| file.name).collect();
        let mut reached = reached(&[WITH_IT, LATER]);
        names.sort_unstable();
        reached.sort_unstable();
        assert_eq!(reached, names);
    }

    #[test]
    fn the_first_view_is_small() {
        let first = reached(&[WITH_IT]);
        let size = |is_counted: &dyn Fn(&str) -> bool| -> usize {
            let files = FILES.iter().filter(|file| is_counted(file.name));
            files.map(|file| file.content.len()).sum()
        };
        let bytes = size(&|name| first.contains(&name));
        assert!(bytes < FIRST_VIEW_BYTES_MAX, "{bytes} bytes");
        let all = size(&|_| true);
        assert!(all < BYTES_MAX, "{all} bytes");
    }

    #[test]
    fn tags_are_compared_as_validators_of_a_cache() {
        let knows = |field: &str| {
            let fields = HeaderMap::from_iter([(
                header::IF_NONE_MATCH,
                field.parse().expect("it is printable"),
            )]);
            is_known("\"a\"", &fields)
        };
        for field in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(knows(field), "{field}");
        }
        for field in ["a", "\"b\"", "", "\"a"] {
            assert!(!knows(field), "{field}");
        }
        assert!(!is_known("\"a\"", &HeaderMap::new()));
    }
}
