//! The page's files, as they are in the program.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Nothing comes from elsewhere, nothing goes there, and no text becomes a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Path, type, content.
type File = (&'static str, &'static str, &'static str);

macro_rules! files {
    ($(($path:literal, $kind:ident, $file:literal),)+) => {
        /// All of them.
        const FILES: &[File] = &[$(($path, $kind, include_str!(concat!("../../page/", $file))),)+];
    };
}

files! {
    ("/", HTML, "index.html"),
    ("/page/style.css", CSS, "style.css"),
    ("/page/icon.svg", SVG, "icon.svg"),
    ("/page/app.js", SCRIPT, "app.js"),
    ("/page/ask.js", SCRIPT, "ask.js"),
    ("/page/words.js", SCRIPT, "words.js"),
    ("/page/parts.js", SCRIPT, "parts.js"),
    ("/page/charts.js", SCRIPT, "charts.js"),
    ("/page/overview.js", SCRIPT, "overview.js"),
    ("/page/sessions.js", SCRIPT, "sessions.js"),
    ("/page/session.js", SCRIPT, "session.js"),
    ("/page/connections.js", SCRIPT, "connections.js"),
    ("/page/path.js", SCRIPT, "path.js"),
    ("/page/workers.js", SCRIPT, "workers.js"),
    ("/page/pools.js", SCRIPT, "pools.js"),
    ("/page/events.js", SCRIPT, "events.js"),
    ("/page/vendor/preact.js", SCRIPT, "vendor/preact.js"),
    ("/page/vendor/licences.txt", TEXT, "vendor/licences.txt"),
}

/// Routes to them.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = tag(file.2);
        router.route(file.0, get(move |asked: HeaderMap| async move { served(file, tag, &asked) }))
    })
}

/// As long as a file is the same a browser may keep it, but has to ask. What it is told then takes the place of what it has kept.
fn served((_, kind, content): &File, tag: Option<HeaderValue>, asked: &HeaderMap) -> Response {
    let known = tag.is_some() && asked.get(IF_NONE_MATCH) == tag.as_ref();
    let headers = [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)];
    let mut answer = match known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, [(CONTENT_TYPE, *kind)], *content).into_response(),
    };
    answer.headers_mut().extend(tag.map(|tag| (ETAG, tag)));
    answer
}

/// A digest of the content.
fn tag(content: &str) -> Option<HeaderValue> {
    let digest = Sha256::digest(content);
    let digits: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Kind;
    use adit_dataplane::contract::{Finding, Leg, PathClass, PeerClass};

    /// Files of the page that are not built in would be missed by nobody but its readers.
    #[test]
    fn every_file_is_built_in_and_every_one_that_is_asked_for_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let names =
            |folder: &str| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
        let there = names(folder).into_iter().chain(names(&format!("{folder}/vendor"))).filter(|path| path.is_file());
        for path in there.filter(|path| !path.ends_with("sign-in.html")) {
            let content = std::fs::read_to_string(&path).unwrap();
            assert!(FILES.iter().any(|file| file.2 == content), "{} is not built in", path.display());
        }
        for (path, kind, content) in FILES.iter().filter(|file| file.1 == SCRIPT || file.1 == HTML) {
            for part in content.split(['"', '\'']).filter(|part| part.starts_with("./") || part.starts_with("/page/")) {
                let wanted = part.replacen("./", "/page/", 1);
                let known = FILES.iter().any(|file| file.0 == wanted) || wanted == "/page/sign-out";
                assert!(known, "{path} ({kind}) asks for {part}");
            }
        }
    }

    /// The page has words of its own for what the API calls by stable ones.
    #[test]
    fn the_page_knows_every_word_that_it_draws() {
        let file = |path: &str| FILES.iter().find(|file| file.0 == path).unwrap().2;
        let knows = |path: &str, word: &str| {
            let as_key = [format!(" {word}: "), format!("'{word}': "), format!("'{word}',"), format!("'{word}'\n")];
            assert!(as_key.iter().any(|key| file(path).contains(key)), "{path} does not know {word}");
        };
        PathClass::ALL.iter().for_each(|class| knows("/page/path.js", class.name()));
        PeerClass::ALL.iter().for_each(|class| knows("/page/path.js", class.name()));
        Leg::ALL.iter().for_each(|leg| knows("/page/path.js", leg.name()));
        Finding::ALL.iter().for_each(|finding| knows("/page/connections.js", finding.name()));
        Kind::ALL.iter().for_each(|kind| knows("/page/ask.js", kind.name()));
    }

    /// The policy keeps them out; so does whoever writes them.
    #[test]
    fn nothing_in_them_is_from_elsewhere_or_made_of_text() {
        for (path, _, content) in FILES.iter().filter(|file| !file.0.contains("/vendor/")) {
            for word in
                ["innerHTML", "outerHTML", "insertAdjacent", "eval(", "document.write", "style=", "onclick=\"", "://"]
            {
                let content = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!content.contains(word), "{path}: {word}");
            }
        }
    }
}
