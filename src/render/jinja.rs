//! Jinja for our own templates: reports and the files we write, strict, and unescaped but for HTML.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;

use super::markdown::{code, escape, fence, html_code};

/// Why a template gave no text.
#[derive(Debug, thiserror::Error)]
#[error("template `{name}`, line {line}: {reason}")]
pub struct RenderError {
    /// The template's name.
    pub name: String,
    /// The line of the template, from 1; 0 if no line is to blame.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Renders a template with a mapping as its context.
///
/// A name that the context does not have is an error wherever it is used. In a template whose name ends in `.html`
/// everything is escaped that is not marked `safe`. In others nothing is: values that others chose go through the filters `code`, `fence`, `md_escape` or `html_code`, see [`super::markdown`]. A line that holds nothing
/// but a `{% block %}` leaves no trace, and the template's last newline stays. `{{ n | plural("change", "changes") }}`
/// gives the word for a count. Mappings keep the order of the context.
///
/// # Errors
/// The template is malformed, or asks for what the context does not have.
pub fn render(name: &str, template: &str, context: &Value) -> Result<String, RenderError> {
    environment().render_named_str(name, template, Serde(context)).map_err(|error| RenderError {
        name: name.to_owned(),
        line: error.line().unwrap_or(0),
        reason: match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        },
    })
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    env.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .expect("the delimiters are Jinja's own"),
    );
    env.add_filter("code", |text: String| code(&text));
    env.add_filter("html_code", |text: String| html_code(&text));
    env.add_filter("fence", |text: String, language: Option<String>| fence(&text, language.as_deref().unwrap_or("")));
    env.add_filter("md_escape", |text: String| escape(&text));
    env.add_filter("plural", plural);
    env
}

fn plural(n: i64, one: String, many: String) -> String {
    if n == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_renders_in_the_order_of_the_context() {
        let template = "{% for k, v in m | items %}\n- {{ k | code }}: {{ v }}\n{% endfor %}\n{{ n }} {{ n | plural('thing', 'things') }} <b>\n";
        let context = json!({"m": {"z": 1, "a": 2.5}, "n": 2});
        let text = render("t", template, &context).expect("a good template");
        assert_eq!(text, "- `z`: 1\n- `a`: 2.5\n2 things <b>\n");
    }

    #[test]
    fn unknown_names_are_errors_with_a_place() {
        let error = render("plan.md", "a\n{{ nope }}", &json!({})).expect_err("unknown");
        assert_eq!((error.name.as_str(), error.line), ("plan.md", 2));
        assert!(render("t", "{% if nope %}{% endif %}", &json!({})).is_err());
        assert!(render("t", "{{ a.b }}", &json!({"a": {}})).is_err());
        assert!(render("t", "{% if %}", &json!({})).is_err());
    }
}
