//! Telegram's bot API: messages, and their edits. What others wrote stands in a block of code, where
//! Telegram finds no links, names or commands.

use ah5_edge::Origin;
use serde_json::{Value, json};

use super::Undelivered;
use super::bot::{Bot, Said};
use super::exchange::Exchange;
use super::message::Message;

/// Who the bot is, as people know it; `Err` for a token that is none.
pub async fn get_me(bot: &Bot, exchange: &Exchange) -> Result<Value, Undelivered> {
    let said = bot.probe(exchange).await?;
    let status = said.status.as_u16();
    result(bot, said).map_err(|error| match error {
        Undelivered::Refused(why) => {
            Undelivered::Refused(format!("Telegram getMe failed ({status}): {why}"))
        }
        later @ Undelivered::Later { .. } => later,
    })
}

/// Sends, and says under which number the message is there.
pub async fn send(
    bot: &Bot,
    exchange: &Exchange,
    chat: &str,
    message: &Message,
    ours: &Origin,
) -> Result<Option<i64>, Undelivered> {
    let body = outgoing(chat, message, ours);
    let said = bot.call(exchange, "/bot/sendMessage", &body).await?;
    Ok(result(bot, said)?["message_id"].as_i64())
}

/// Makes a message say how it ended, and lead nowhere.
pub async fn edit(
    bot: &Bot,
    exchange: &Exchange,
    chat: &str,
    number: i64,
    text: &str,
) -> Result<(), Undelivered> {
    let body = json!({
        "chat_id": chat, "message_id": number, "text": text, "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true}, "reply_markup": {"inline_keyboard": []},
    });
    let said = bot.call(exchange, "/bot/editMessageText", &body).await?;
    result(bot, said).map(drop)
}

/// The chats that have written to the bot lately.
pub async fn chats(bot: &Bot, exchange: &Exchange) -> Result<Vec<Value>, Undelivered> {
    let body = json!({"timeout": 0, "allowed_updates": ["message"]});
    let said = bot.call(exchange, "/bot/getUpdates", &body).await?;
    let updates = result(bot, said)?;
    let mut chats: Vec<Value> = Vec::new();
    for update in updates.as_array().into_iter().flatten().take(MAX_UPDATES) {
        let Some(chat) = chat(bot, &update["message"]["chat"]) else {
            continue;
        };
        if !chats.iter().any(|known| known["chatId"] == chat["chatId"]) {
            chats.push(chat);
        }
    }
    Ok(chats)
}

/// How an edited message reads.
pub fn ended(outcome: &str, message: &Message) -> String {
    format!("<b>{outcome}</b>\n<pre>{}</pre>", escape(&message.said()))
}

fn outgoing(chat: &str, message: &Message, ours: &Origin) -> Value {
    let (heading, said) = (message.heading(), escape(&message.said()));
    let mut text = format!("<b>{heading}</b>\n<pre>{said}</pre>");
    let mut body = json!({
        "chat_id": chat, "parse_mode": "HTML", "link_preview_options": {"is_disabled": true},
    });
    match message.page(ours) {
        // Telegram takes no button that leads to a developer's own machine.
        Some(page) if ours.is_loopback() => text = format!("{text}\n{}", escape(&page)),
        Some(page) => {
            let button = json!({"text": "Open in AgentHiFive", "url": page});
            body["reply_markup"] = json!({"inline_keyboard": [[button]]});
        }
        None => {}
    }
    body["text"] = text.into();
    body
}

fn result(bot: &Bot, mut said: Said) -> Result<Value, Undelivered> {
    if said.status.is_success() && said.json["ok"] == true {
        return Ok(said.json["result"].take());
    }
    let why = said.json["description"].as_str();
    let why = bot.quoted(why.unwrap_or("no answer that can be read"));
    let named = said.json["parameters"]["retry_after"].as_u64();
    let after = named.and_then(|seconds| u32::try_from(seconds).ok());
    match said.status.as_u16() {
        400..=499 if said.status != 429 => Err(Undelivered::Refused(why)),
        _ => Err(Undelivered::Later {
            why,
            after: after.or(said.after),
        }),
    }
}

fn chat(bot: &Bot, chat: &Value) -> Option<Value> {
    let id = chat["id"].as_i64()?;
    let text = |name: &str| chat[name].as_str().map(|text| bot.quoted(text));
    let person = [text("first_name"), text("last_name")];
    let person: Vec<String> = person.into_iter().flatten().collect();
    let name = text("title").unwrap_or_else(|| person.join(" "));
    Some(json!({
        "chatId": id.to_string(), "name": name, "type": text("type"), "username": text("username"),
    }))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const MAX_UPDATES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::message::tests::hostile;

    #[test]
    fn what_others_wrote_is_code_and_the_page_a_button() {
        let ours = Origin::parse("https://ah5.example").unwrap();
        let body = outgoing("1", &hostile(), &ours);
        let text = body["text"].as_str().unwrap();
        let (heading, rest) = text.split_once("\n<pre>").unwrap();
        assert_eq!(heading, "<b>A call waits for your approval</b>");
        let inside = rest.strip_suffix("</pre>").unwrap();
        assert!(!inside.contains(['<', '>']), "{inside}");
        assert!(inside.contains("evil.example"));
        let buttons = body["reply_markup"]["inline_keyboard"].to_string();
        assert_eq!(buttons.matches("url").count(), 1);
        assert!(buttons.contains("https://ah5.example/dashboard/approvals/0191d2c0-"));
        assert!(text.len() < 4096);
        let local = Origin::parse("http://localhost:8080").unwrap();
        let body = outgoing("1", &hostile(), &local);
        assert!(body.get("reply_markup").is_none());
    }
}
