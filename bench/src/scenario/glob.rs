//! Names with `*` and `?`.

/// Whether the whole name fits the pattern. `*` stands for any characters, `?` for one.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // fits[n]: the pattern read so far fits the first n characters.
    let mut fits = vec![false; name.len() + 1];
    if let Some(first) = fits.first_mut() {
        *first = true;
    }
    for symbol in pattern {
        let before = fits.clone();
        for (n, fit) in fits.iter_mut().enumerate() {
            let one_less = n.checked_sub(1);
            *fit = match symbol {
                '*' => before.iter().take(n + 1).any(|fit| *fit),
                '?' => one_less.is_some_and(|n| before.get(n) == Some(&true)),
                letter => one_less.is_some_and(|n| before.get(n) == Some(&true) && name.get(n) == Some(&letter)),
            };
        }
    }
    fits.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("io-*", "io-uring", true),
            ("io-*", "plain", false),
            ("*psk*", "wrong-psk", true),
            ("pl?in", "plain", true),
            ("pl?in", "plin", false),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("plain", "plain-2", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    // The dull twin, by recursion.
    fn dull(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*', rest @ ..], name) => (0..=name.len()).any(|n| dull(rest, &name[n..])),
            (['?', rest @ ..], [_, name @ ..]) => dull(rest, name),
            ([letter, rest @ ..], [first, name @ ..]) => letter == first && dull(rest, name),
            (_, []) => false,
        }
    }

    #[test]
    fn every_short_pattern_agrees_with_the_recursive_matcher() {
        let words = |letters: &[char]| {
            let mut words = vec![vec![]];
            let mut all = words.clone();
            for _ in 0..4 {
                words = words
                    .iter()
                    .flat_map(|word: &Vec<char>| letters.iter().map(|letter| [&word[..], &[*letter]].concat()))
                    .collect();
                all.extend(words.clone());
            }
            all
        };
        for pattern in words(&['a', 'b', '*', '?']) {
            for name in words(&['a', 'b']) {
                let text = |word: &[char]| word.iter().collect::<String>();
                assert_eq!(matches(&text(&pattern), &text(&name)), dull(&pattern, &name), "{pattern:?} {name:?}");
            }
        }
    }
}
