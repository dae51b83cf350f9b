//! The order of services by `after`: unknown names and cycles are found before anything starts.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

/// A way through `after` that comes back to its start: `a -> b -> a`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("services wait for each other in a circle: {}", .0.join(" -> "))]
pub struct Cycle(pub Vec<String>);

/// Start order: every service after all that it names; ties in the order of the names.
///
/// `after` maps a service to the services that must be ready first; names that are no key are ignored.
/// The first cycle found is the error. Linear in services and edges, and not recursive.
pub fn order(after: &BTreeMap<&str, Vec<&str>>) -> Result<Vec<String>, Cycle> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut out = Vec::with_capacity(after.len());
    for start in after.keys() {
        // A depth-first walk with its own stack: (service, how many of its dependencies were looked at).
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        let mut on_path: BTreeSet<&str> = BTreeSet::from([*start]);
        if done.contains(start) {
            continue;
        }
        while let Some((name, next)) = path.last_mut() {
            let (name, dependency) = (*name, after.get(name).and_then(|all| all.get(*next)).copied());
            *next += 1;
            match dependency {
                None => {
                    done.insert(name);
                    on_path.remove(name);
                    out.push(name.to_owned());
                    path.pop();
                }
                Some(dependency) if on_path.contains(dependency) => {
                    let circle = path.iter().map(|(name, _)| *name).skip_while(|name| *name != dependency);
                    return Err(Cycle(circle.chain([dependency]).map(str::to_owned).collect()));
                }
                Some(dependency) if !done.contains(dependency) && after.contains_key(dependency) => {
                    on_path.insert(dependency);
                    path.push((dependency, 0));
                }
                Some(_) => {}
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first() {
        let after = BTreeMap::from([("a", vec!["c", "b"]), ("b", vec!["c"]), ("c", vec!["gone"])]);
        assert_eq!(order(&after).unwrap(), ["c", "b", "a"]);
    }

    #[test]
    fn a_circle_is_named_without_the_way_to_it() {
        let after = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"])]);
        assert_eq!(order(&after).unwrap_err().to_string(), "services wait for each other in a circle: b -> c -> b");
        let own = BTreeMap::from([("a", vec!["a"])]);
        assert_eq!(order(&own).unwrap_err().0, ["a", "a"]);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_services_needs_no_stack() {
        let names: Vec<String> = (0..100_000).map(|n| format!("{n:06}")).collect();
        let after: BTreeMap<&str, Vec<&str>> =
            names.windows(2).map(|pair| (pair[0].as_str(), vec![pair[1].as_str()])).collect();
        assert_eq!(order(&after).unwrap().first().unwrap(), "099998");
    }
}
