use super::*;
use serde_json::json;

fn error(change: impl FnOnce(&mut Columns)) -> (String, String) {
    let mut columns = Columns::default();
    change(&mut columns);
    let error = columns.compile().unwrap_err();
    (error.path, error.why)
}

#[derive(Clone)]
struct Columns {
    allowlists: Value,
    constraints: Option<Value>,
    limits: Option<Value>,
    mode: &'static str,
    models: Vec<String>,
    rules: Value,
    step_up: &'static str,
    windows: Value,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            allowlists: json!([]),
            constraints: None,
            limits: None,
            mode: "read_write",
            models: vec!["B".into()],
            rules: json!({"request": [], "response": []}),
            step_up: "never",
            windows: json!([]),
        }
    }
}

impl Columns {
    fn compile(&self) -> Result<CompiledPolicy, CompileError> {
        CompiledPolicy::compile(&PolicySource {
            allowed_models: &self.models,
            allowlists: &self.allowlists,
            default_mode: self.mode,
            plain_http: &|host, port| host == "echo.test" && port == 8080,
            provider_constraints: self.constraints.as_ref(),
            rate_limits: self.limits.as_ref(),
            rules: &self.rules,
            step_up: self.step_up,
            time_windows: &self.windows,
        })
    }
}

#[test]
fn what_is_not_enforced_does_not_compile() {
    let (path, why) = error(|c| c.windows = json!([{"dayOfWeek": 1}]));
    assert_eq!(path, "timeWindows");
    assert_eq!(why, "not enforced by this build: time windows");
    let (path, _) = error(|c| c.rules = json!({"request": [{"action": "deny"}], "response": []}));
    assert_eq!(path, "rules/request");
    let (path, _) = error(|c| c.rules = json!({"request": [], "response": [{}]}));
    assert_eq!(path, "rules/response");
    let (path, _) = error(|c| c.constraints = Some(json!({"provider": "slack"})));
    assert_eq!(path, "providerConstraints");
    let (path, _) = error(|c| c.limits = Some(json!({"maxRequestsPerHour": 9})));
    assert_eq!(path, "rateLimits/maxRequestsPerHour");
    for (path, rules) in [("rules/deny", json!({"deny": []})), ("rules", json!([]))] {
        assert_eq!(error(|c| c.rules = rules).0, path);
    }
}

#[test]
fn an_error_names_its_field() {
    let entry = |base: &str, methods: Value, patterns: Value| json!([{"baseUrl": base, "methods": methods, "pathPatterns": patterns}]);
    let ok = "https://api.example.com";
    for (allowlists, path, why) in [
        (
            entry(ok, json!([]), json!(["/a"])),
            "methods",
            "Each allowlist entry requires at least one HTTP method",
        ),
        (
            entry(ok, json!(["GET"]), json!([])),
            "pathPatterns",
            "Each allowlist entry requires at least one path pattern",
        ),
        (
            entry(ok, json!(["GET"]), json!(["/a", ""])),
            "pathPatterns/1",
            "Path patterns must be non-empty strings",
        ),
        (
            entry(ok, json!(["HEAD"]), json!(["/a"])),
            "methods/0",
            ONE_OF,
        ),
        (
            entry("http://api.example.com", json!(["GET"]), json!(["/a"])),
            "baseUrl",
            "Base URL must use HTTPS: http://api.example.com",
        ),
        (
            entry("https://*.com", json!(["GET"]), json!(["/a"])),
            "baseUrl",
            "Invalid base URL: https://*.com",
        ),
        (
            entry("https://u@h.example", json!(["GET"]), json!(["/a"])),
            "baseUrl",
            "Invalid base URL: https://u@h.example",
        ),
    ] {
        let (at, text) = error(|c| c.allowlists = allowlists);
        assert_eq!((at, text.as_str()), (format!("allowlists/0/{path}"), why));
    }
    let mut unknown = entry(ok, json!(["GET"]), json!(["/a"]));
    unknown[0]["deny"] = json!(true);
    assert_eq!(error(|c| c.allowlists = unknown).0, "allowlists/0/deny");
    assert_eq!(error(|c| c.mode = "open").0, "defaultMode");
    assert_eq!(error(|c| c.step_up = "maybe").0, "stepUpApproval");
    assert_eq!(error(|c| c.models = vec!["C".into()]).0, "allowedModels/0");
}

#[test]
fn plain_http_is_only_for_exempt_hosts() {
    let mut columns = Columns::default();
    let entry = |base| json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]);
    columns.allowlists = entry("http://echo.test:8080");
    assert!(columns.compile().is_ok());
    columns.allowlists = entry("http://echo.test:8081");
    assert!(columns.compile().is_err());
}

#[test]
fn byte_limits_are_taken_and_checked() {
    let mut columns = Columns {
        limits: Some(json!({"maxPayloadSizeBytes": 10, "maxResponseSizeBytes": 20})),
        ..Columns::default()
    };
    let limits = columns.compile().unwrap().limits();
    assert_eq!(limits.max_payload_bytes, Some(10));
    assert_eq!(limits.max_response_bytes, Some(20));
    columns.limits = Some(json!({"maxPayloadSizeBytes": 0}));
    assert!(columns.compile().is_err());
}
