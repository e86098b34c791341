//! Finds personal data in texts: reads `{"text": …}` a line from standard input, writes what each
//! kind on its own finds as `[[start, end, kind], …]`, offsets in bytes.

use std::io::{BufRead, Write, stdin, stdout};

use ah5_policy::pii::{Kind, PiiType, Recognisers};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let one = |kind: Kind| {
        let types = [PiiType {
            name: kind.name(),
            pattern: None,
        }];
        Recognisers::compile(types).map(|recognisers| (kind, recognisers))
    };
    let kinds = Kind::all().map(one).collect::<Result<Vec<_>, _>>()?;
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let text = line["text"].as_str().unwrap_or("");
        let found: Vec<Value> = kinds
            .iter()
            .flat_map(|(kind, recognisers)| {
                let spans = recognisers.find(text, None);
                spans
                    .into_iter()
                    .map(|f| json!([f.start, f.end, kind.name()]))
            })
            .collect();
        writeln!(out, "{}", Value::from(found))?;
    }
    Ok(())
}
