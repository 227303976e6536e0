use http::{HeaderMap, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// When the answer says that the endpoint may be asked again: in seconds, or at a date, of which
/// one that has passed means now.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    fn read(text: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(text).unwrap();
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    }

    #[test]
    fn reads_seconds() {
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(read("31536000"), Some(YEAR));
    }

    #[test]
    fn reads_a_date() {
        let in_a_year = read(&httpdate::fmt_http_date(SystemTime::now() + YEAR)).unwrap();
        assert!(in_a_year > YEAR - Duration::from_secs(60) && in_a_year <= YEAR);
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_hint() {
        for text in ["", "soon", "-1", "1.5", "99999999999999999999999", "Wed, 21 Oct"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
