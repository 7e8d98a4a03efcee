//! Choices by chance that are the same on every machine.
//!
//! `fastrand` draws a `usize`, and whatever it chooses by one, at the machine's width, so that wasm32 would go
//! another way than a 64-bit machine from the same seed. Here every index is drawn as a `u32`.

/// An index below `len`; `None` if that is 0.
pub(super) fn index(rng: &mut fastrand::Rng, len: usize) -> Option<usize> {
    let len = u32::try_from(len).ok().filter(|len| *len > 0)?;
    usize::try_from(rng.u32(..len)).ok()
}

/// One of `items`.
pub(super) fn one<T: Copy>(rng: &mut fastrand::Rng, items: &[T]) -> Option<T> {
    index(rng, items.len()).map(|index| items[index])
}

/// `count_max` different ones of `items`, or all of them, in an order by chance.
pub(super) fn some<T: Copy>(rng: &mut fastrand::Rng, items: &[T], count_max: usize) -> Vec<T> {
    let mut items = items.to_vec();
    let count = count_max.min(items.len());
    for at in 0..count {
        let other = at + index(rng, items.len() - at).unwrap_or(0);
        items.swap(at, other);
    }
    items.truncate(count);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_seed_draws_is_fixed() {
        let mut rng = fastrand::Rng::with_seed(1);
        let indices: Vec<_> = (0..4).filter_map(|_| index(&mut rng, 1000)).collect();
        assert_eq!(indices, [714, 666, 949, 302], "elsewhere it would be another tracker");
        assert_eq!(index(&mut rng, 0), None);
        assert_eq!(one::<u8>(&mut rng, &[]), None);
    }

    #[test]
    fn some_are_different_ones_and_each_comes_up() {
        let mut rng = fastrand::Rng::with_seed(2);
        let items: Vec<u32> = (0..10).collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let mut chosen = some(&mut rng, &items, 3);
            seen.extend(chosen.iter().copied());
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 3);
        }
        assert_eq!(seen.len(), 10);
        assert_eq!(some(&mut rng, &items, 99).len(), 10);
    }
}
