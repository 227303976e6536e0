use alclad_rotation::Endpoints;

const KEY: &str = "s3cret";
const MARK: &str = "mev+";

/// A line of endpoints, in which every `K` stands for a key: wherever that is but in a host, it
/// is shown neither by an error nor by the endpoints.
pub fn endpoints(input: &[u8]) {
    let line = String::from_utf8_lossy(input).replace('K', KEY);
    let words: Vec<_> = line.split_whitespace().collect();
    let endpoints = line.parse::<Endpoints>();
    let shown = match &endpoints {
        Ok(endpoints) => format!("{endpoints} {endpoints:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    let in_host = words.iter().any(|word| host(word).to_lowercase().contains(KEY));
    assert!(in_host || !shown.to_lowercase().contains(KEY), "{shown}");
    match endpoints {
        Ok(endpoints) => has_the_roles(&endpoints, &words),
        Err(_) if words.is_empty() => assert_eq!(shown, "there is no URL of an endpoint Empty"),
        Err(_) => assert!(names_a_word(&shown, words.len()), "{shown}"),
    }
}

/// What stands in the place of a host.
fn host(word: &str) -> &str {
    let after_scheme = word.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn has_the_roles(endpoints: &Endpoints, words: &[&str]) {
    let is_marked =
        |word: &&&str| word.get(..MARK.len()).is_some_and(|start| start.eq_ignore_ascii_case(MARK));
    let marked = words.iter().filter(is_marked).count();
    let (readers, writers) = (endpoints.readers(), endpoints.writers());
    match marked {
        0 => assert_eq!((readers, writers), (words.len(), words.len())),
        _ => assert_eq!((readers, writers, marked), (words.len() - 1, 1, 1)),
    }
    assert!(readers > 0);
    let names = endpoints.to_string();
    assert_eq!(names.split(' ').count(), words.len(), "{names}");
}

/// "word 2 ..", counted from 1.
fn names_a_word(shown: &str, words: usize) -> bool {
    let position = shown
        .strip_prefix("word ")
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    position.is_some_and(|position| (1..=words).contains(&position))
}
