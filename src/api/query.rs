//! Query strings.

use http::Uri;

/// The decoded value of the query member `name`, if it is there and not empty.
pub(super) fn value(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| decoded(key) == name).map(|(_, value)| decoded(value)).find(|value| !value.is_empty())
}

/// Undoes a query's encoding: percent-encoding, and `+` for a space.
fn decoded(text: &str) -> String {
    path(&text.replace('+', " "))
}

/// Undoes percent-encoding. What is not UTF-8 is replaced.
pub(super) fn path(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = || {
            let mut ahead = rest.clone();
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let value = digit(ahead.next())? * 16 + digit(ahead.next())?;
            u8::try_from(value).ok().map(|value| (value, ahead))
        };
        match byte {
            b'%' => match hex() {
                Some((value, ahead)) => {
                    bytes.push(value);
                    rest = ahead;
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_decoded() {
        let uri: Uri = "/v1/models?limit=2&model_id=openai%2Fgpt%2D5&empty=&x=a+b%zz%".parse().unwrap();
        assert_eq!(value(&uri, "limit").as_deref(), Some("2"));
        assert_eq!(value(&uri, "model_id").as_deref(), Some("openai/gpt-5"));
        assert_eq!(value(&uri, "x").as_deref(), Some("a b%zz%"));
        assert_eq!((value(&uri, "empty"), value(&uri, "nothing")), (None, None));
        assert_eq!(path("command-r+%3A1%"), "command-r+:1%");
    }
}
