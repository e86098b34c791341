//! Every route of the data plane, in one table: what the front doors send here, who may call it and
//! how large a body may be. Nothing is reachable that isn't in it.

use http::Method;

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    pub endpoint: Endpoint,
    pub methods: Methods,
    /// Without the optional `/v1` prefix. A `*` at the end stands for any rest, also an empty one.
    pub path: &'static str,
    pub right: Right,
    /// Bytes of a request body that is read here. What is passed through has the policy's limit.
    pub max_body: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Execute,
    Health,
    /// A client of language models that knows nothing of us.
    Llm,
    /// Where model calls were once made.
    LlmMoved,
    /// `x-ah5-connection` and `x-ah5-target` say where to.
    ProxyByHeader,
    /// Connection and path are in the path.
    ProxyByPath,
    Resolve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    Any,
    /// And HEAD.
    Get,
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Agents, and admins who name an agent.
    Call,
    Open,
    /// Admins for themselves.
    Resolve,
}

/// A route, and what its `*` stands for.
#[derive(Debug)]
pub struct Found<'a> {
    pub route: &'static Route,
    pub rest: &'a str,
}

#[must_use]
pub fn table() -> &'static [Route] {
    &TABLE
}

/// The path as it came over the wire, undecoded.
#[must_use]
pub fn find<'a>(method: &Method, path: &'a str) -> Option<Found<'a>> {
    let path = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    TABLE.iter().find_map(|route| route.matches(method, path))
}

// === impl Route ===

impl Route {
    fn matches<'a>(&'static self, method: &Method, path: &'a str) -> Option<Found<'a>> {
        let rest = match self.path.strip_suffix('*') {
            Some(prefix) => path.strip_prefix(prefix)?,
            // A trailing slash means nothing.
            None if path == self.path => "",
            None => match path.strip_prefix(self.path)? {
                "/" => "",
                _ => return None,
            },
        };
        let fits = match self.methods {
            Methods::Any => true,
            Methods::Get => method == Method::GET || method == Method::HEAD,
            Methods::Post => method == Method::POST,
        };
        fits.then_some(Found { route: self, rest })
    }
}

const TABLE: [Route; 7] = [
    Route {
        endpoint: Endpoint::Execute,
        methods: Methods::Post,
        path: "/vault/execute",
        right: Right::Call,
        max_body: EXECUTE_BODY,
    },
    Route {
        endpoint: Endpoint::ProxyByHeader,
        methods: Methods::Any,
        path: "/proxy",
        right: Right::Call,
        max_body: 0,
    },
    Route {
        endpoint: Endpoint::ProxyByPath,
        methods: Methods::Any,
        path: "/proxy/*",
        right: Right::Call,
        max_body: 0,
    },
    Route {
        endpoint: Endpoint::Llm,
        methods: Methods::Any,
        path: "/vault/llm/*",
        right: Right::Call,
        max_body: 0,
    },
    Route {
        endpoint: Endpoint::LlmMoved,
        methods: Methods::Any,
        path: "/llm/proxy/*",
        right: Right::Open,
        max_body: 0,
    },
    Route {
        endpoint: Endpoint::Resolve,
        methods: Methods::Post,
        path: "/credentials/resolve",
        right: Right::Resolve,
        max_body: SMALL_BODY,
    },
    Route {
        endpoint: Endpoint::Health,
        methods: Methods::Get,
        path: "/health",
        right: Right::Open,
        max_body: 0,
    },
];

const SMALL_BODY: usize = 16 * 1024;

/// 10 MiB of provider request, and the envelope around it.
const EXECUTE_BODY: usize = 11 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, path: &str) -> Option<(Endpoint, String)> {
        find(method, path).map(|found| (found.route.endpoint, found.rest.to_owned()))
    }

    #[test]
    fn routes_answer_with_and_without_the_prefix() {
        for (path, endpoint, rest) in [
            ("/v1/vault/execute", Endpoint::Execute, ""),
            ("/vault/execute/", Endpoint::Execute, ""),
            ("/v1/proxy", Endpoint::ProxyByHeader, ""),
            ("/proxy/", Endpoint::ProxyByHeader, ""),
            ("/v1/proxy/id", Endpoint::ProxyByPath, "id"),
            ("/proxy/id/a%2Fb//c", Endpoint::ProxyByPath, "id/a%2Fb//c"),
            ("/v1/vault/llm/openai/x", Endpoint::Llm, "openai/x"),
            ("/v1/llm/proxy/openai/x", Endpoint::LlmMoved, "openai/x"),
            ("/v1/credentials/resolve", Endpoint::Resolve, ""),
        ] {
            assert_eq!(
                of(&Method::POST, path),
                Some((endpoint, rest.to_owned())),
                "{path}"
            );
        }
    }

    #[test]
    fn nothing_else_is_a_route() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/vault",
            "/v1/proxyx",
            "/v1/v1/proxy",
            "/metrics",
        ] {
            assert_eq!(of(&Method::GET, path), None, "{path}");
        }
        assert_eq!(of(&Method::GET, "/v1/vault/execute"), None);
        assert_eq!(of(&Method::POST, "/health"), None);
        assert!(of(&Method::HEAD, "/v1/health").is_some());
        assert!(of(&Method::DELETE, "/v1/proxy/id/x").is_some());
    }
}
