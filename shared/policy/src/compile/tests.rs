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
fn what_nobody_knows_is_never_dropped() {
    let rule = |rule: Value| json!({"request": [rule], "response": []});
    for (rules, path) in [
        (json!([]), "rules"),
        (json!({"deny": []}), "rules/deny"),
        (json!({"request": {}}), "rules/request"),
        (rule(json!({"action": "deny"})), "rules/request/0/match"),
        (rule(json!({"match": {}})), "rules/request/0/action"),
        (
            rule(json!({"match": {}, "action": "log"})),
            "rules/request/0/action",
        ),
        (
            rule(json!({"match": {}, "action": "deny", "when": 1})),
            "rules/request/0/when",
        ),
        (
            rule(json!({"match": {"host": "x"}, "action": "deny"})),
            "rules/request/0/match/host",
        ),
        (
            rule(json!({"match": {"methods": ["HEAD"]}, "action": "deny"})),
            "rules/request/0/match/methods/0",
        ),
        (
            rule(json!({"match": {}, "action": "redact"})),
            "rules/request/0/redactConfig",
        ),
        (
            rule(json!({"match": {}, "action": "allow", "label": 1})),
            "rules/request/0/label",
        ),
        (
            json!({"request": [], "fieldStepUpEnabled": 1}),
            "rules/fieldStepUpEnabled",
        ),
    ] {
        assert_eq!(error(|c| c.rules = rules).0, path);
    }
    let condition =
        |condition: Value| rule(json!({"match": {"body": [condition]}, "action": "deny"}));
    for (stored, member) in [
        (json!({"path": "a", "op": "gt", "value": 1}), "op"),
        (json!({"path": "a", "op": "in", "value": "x"}), "value"),
        (json!({"path": "a", "op": "not_in"}), "value"),
        (json!({"path": "a", "op": "in", "value": [1]}), "value/0"),
        (
            json!({"path": "a", "op": "exists", "value": false}),
            "value",
        ),
        (json!({"path": "a", "op": "eq", "value": {"b": 1}}), "value"),
        (json!({"path": "a", "op": "eq", "value": null}), "value"),
        (json!({"path": "", "op": "exists"}), "path"),
        (json!({"path": "a", "op": "exists", "not": true}), "not"),
    ] {
        let (path, _) = error(|c| c.rules = condition(stored));
        assert_eq!(path, format!("rules/request/0/match/body/0/{member}"));
    }
    for (constraints, member) in [
        (json!({"provider": "github"}), "provider"),
        (json!({"provider": "telegram"}), "allowedChatIds"),
        (
            json!({"provider": "slack", "allowedChannelIds": [""]}),
            "allowedChannelIds/0",
        ),
        (
            json!({"provider": "slack", "allowedChatIds": ["x"]}),
            "allowedChatIds",
        ),
    ] {
        let (path, _) = error(|c| c.constraints = Some(constraints));
        assert_eq!(path, format!("providerConstraints/{member}"));
    }
    let (path, _) = error(|c| c.limits = Some(json!({"maxPerDay": 9})));
    assert_eq!(path, "rateLimits/maxPerDay");
}

#[test]
fn faults_within_rules_are_told_as_clients_know_them() {
    let fault = |found: Value| {
        let rules = json!({"request": [{"match": found, "action": "deny"}]});
        let columns = Columns {
            rules,
            ..Columns::default()
        };
        columns.compile().unwrap_err().in_rules().unwrap()
    };
    let url = fault(json!({"urlPattern": "(?=x)"}));
    assert!(url.starts_with("request[0].match.urlPattern: invalid regex — (?=x): look-around"));
    let body = fault(json!({"body": [{"path": "text", "op": "matches", "value": "[x"}]}));
    assert!(
        body.starts_with("request[0].match.body \"text\": invalid regex — [x: "),
        "{body}"
    );
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
fn a_policy_has_no_more_parts_than_are_judged_in_time() {
    let many = |part: Value, number: usize| Value::Array(vec![part; number]);
    let deny = json!({"match": {}, "action": "deny"});
    let drop = json!({"match": {}, "filter": {"denyFields": ["x"]}});
    let entry = json!({"baseUrl": "https://h.example", "methods": ["GET"], "pathPatterns": ["/a"]});
    let exists = json!({"path": "a", "op": "exists"});
    let fits = |change: &dyn Fn(&mut Columns)| {
        let mut columns = Columns::default();
        change(&mut columns);
        columns.compile().err().map(|error| error.path)
    };
    let request = |number| json!({"request": many(deny.clone(), number)});
    let response = |number| json!({"response": many(drop.clone(), number)});
    assert_eq!(fits(&|c| c.rules = request(500)), None);
    for (path, change) in [
        (
            "rules/request",
            &(|c: &mut Columns| c.rules = request(501)) as &dyn Fn(&mut Columns),
        ),
        ("rules/response", &|c| c.rules = response(501)),
        ("allowlists", &|c| c.allowlists = many(entry.clone(), 201)),
        ("rules/request/0/match/body", &|c| {
            let found = json!({"body": many(exists.clone(), 51)});
            c.rules = json!({"request": [{"match": found, "action": "deny"}]});
        }),
    ] {
        assert_eq!(fits(change).as_deref(), Some(path));
    }
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
fn limits_are_taken_and_checked() {
    let mut columns = Columns {
        limits: Some(
            json!({"maxPayloadSizeBytes": 10, "maxResponseSizeBytes": 20,
                           "maxRequestsPerHour": 30}),
        ),
        ..Columns::default()
    };
    let limits = columns.compile().unwrap().limits();
    assert_eq!(limits.max_payload_bytes, Some(10));
    assert_eq!(limits.max_response_bytes, Some(20));
    assert_eq!(limits.max_requests_per_hour, Some(30));
    columns.limits = Some(json!({"maxPayloadSizeBytes": 0}));
    assert!(columns.compile().is_err());
}

#[test]
fn budgets_are_tokens_and_millionths_of_a_dollar() {
    let compile = |limits: Value| {
        let columns = Columns {
            limits: Some(limits),
            ..Columns::default()
        };
        columns.compile()
    };
    let policy =
        compile(json!({"maxTokensPerDay": 7, "maxCostCentsPerMonth": 3, "unmetered": ["mcp"]}));
    let policy = policy.unwrap();
    assert!(policy.reads_bodies() && !policy.is_unfiltered());
    let budgets = policy.budgets();
    let caps: Vec<_> = budgets
        .caps
        .iter()
        .map(|cap| (cap.kind.as_str(), cap.limit))
        .collect();
    assert_eq!(caps, [("tokens_day", 7), ("cost_month", 30_000)]);
    assert!(budgets.names("mcp") && !budgets.names("mc"));
    for bad in [
        json!({"maxTokensPerHour": 0}),
        json!({"maxCostCentsPerDay": 1.5}),
        json!({"maxCostCentsPerDay": u64::MAX}),
        json!({"maxTokensPerYear": 1}),
        json!({"maxTokensPerDay": 1, "unmetered": [""]}),
        json!({"maxTokensPerDay": 1, "unmetered": [1]}),
    ] {
        assert!(compile(bad.clone()).is_err(), "{bad}");
    }
    assert!(
        compile(json!({"maxRequestsPerHour": 1}))
            .unwrap()
            .budgets()
            .is_empty()
    );
}
