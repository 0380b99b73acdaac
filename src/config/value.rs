//! Small values: substitution, times, sizes.

use std::time::Duration;

/// Replaces each `${NAME}` by the variable's value; `$${` stands for `${` itself.
///
/// # Errors
/// What is wrong, without any value.
pub(super) fn substitute(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let (name, after) = after.split_once('}').ok_or("`${` has no `}`")?;
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named {
            return Err(format!("`${{{}}}` is not the name of a variable", name.escape_debug()));
        }
        out.push_str(&variable(name).ok_or_else(|| format!("environment variable {name} is not set"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a secret is what examples write in its place: `<your key>`, `sk-...`, `changeme`, `xxxx`.
pub(super) fn is_placeholder(secret: &str) -> bool {
    let secret = secret.trim().to_ascii_lowercase();
    let all = |byte: u8| secret.bytes().all(|each| each == byte);
    let words = ["change-me", "change_me", "changeme", "secret", "todo", "your-api-key", "your-key", "your_api_key", "your_key"];
    (secret.starts_with('<') && secret.ends_with('>'))
        || secret.ends_with("...")
        || all(b'x')
        || all(b'*')
        || words.contains(&secret.as_str())
}

/// `500ms`, `5s`, `10m`, `1h`; at most a day.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let (number, unit) = quantity(text)?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(60 * 60)?),
        _ => return None,
    };
    (time <= DAY).then_some(time)
}

/// `512KiB`, `32MiB`, `1GiB`, `100B`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = quantity(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0)
}

fn quantity(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let variable = |name: &str| (name == "A_1").then(|| "value".to_owned());
        for (text, expected) in [
            ("plain $ {x}", Ok("plain $ {x}")),
            ("${A_1}", Ok("value")),
            ("<${A_1}${A_1}>", Ok("<valuevalue>")),
            ("$${A_1}", Ok("${A_1}")),
            ("${B}", Err("environment variable B is not set")),
            ("${A_1", Err("`${` has no `}`")),
            ("${}", Err("`${}` is not the name of a variable")),
            ("${A 1}", Err("`${A 1}` is not the name of a variable")),
        ] {
            assert_eq!(substitute(text, &variable), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn f084_what_examples_write_is_no_secret() {
        for placeholder in ["<your key>", "sk-...", "changeme", "CHANGE-ME", "xxxxxx", "****", "your_api_key"] {
            assert!(is_placeholder(placeholder), "{placeholder}");
        }
        for secret in ["sk-proj-1", "k", "xxxxy", "my secret"] {
            assert!(!is_placeholder(secret), "{secret}");
        }
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10 m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        assert_eq!(size("32MiB"), Some(32 << 20));
        for bad in ["", "5", "s", "-5s", "1.5s", "5d", "25h", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        for bad in ["", "32", "32MB", "0B", "99999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
