//! Turns: work that is done in a task that the worker posts to itself.
//!
//! Chromium 148 goes on calling a worker while its page is being left: events of transferred data channels, messages that the page
//! posted, promises. The worker's file handles have lost the browser then, and a write to one ends the renderer, and with it the page
//! that the person went to. What a worker posts to itself comes later than the page's word that it goes away.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageChannel, MessageEvent, MessagePort};

/// Asks for turns. Nothing comes any more once this is dropped.
pub(crate) struct Turns {
    /// `None` if the browser gives no ports: turns are then taken at once.
    ports: Option<[MessagePort; 2]>,
    is_asked: Rc<Cell<bool>>,
    /// Kept for as long as the port may call it.
    _on_turn: Closure<dyn FnMut(MessageEvent)>,
}

impl Turns {
    /// `take` is called for each turn.
    pub(crate) fn new(mut take: impl FnMut() + 'static) -> Self {
        let is_asked = Rc::new(Cell::new(false));
        let asked = Rc::clone(&is_asked);
        let on_turn = Closure::<dyn FnMut(MessageEvent)>::new(move |_| {
            asked.set(false);
            take();
        });
        let ports = MessageChannel::new().ok().map(|pair| [pair.port1(), pair.port2()]);
        if let Some([_, inner]) = &ports {
            inner.set_onmessage(Some(on_turn.as_ref().unchecked_ref()));
        }
        Self { ports, is_asked, _on_turn: on_turn }
    }

    /// Asks for a turn, unless one is coming. `false`: there are none, so the work is to be done now.
    pub(crate) fn ask(&self) -> bool {
        let Some([outer, _]) = &self.ports else { return false };
        if self.is_asked.replace(true) {
            return true;
        }
        let is_posted = outer.post_message(&JsValue::UNDEFINED).is_ok();
        self.is_asked.set(is_posted);
        is_posted
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if let Some([outer, inner]) = &self.ports {
            inner.set_onmessage(None);
            outer.close();
            inner.close();
        }
    }
}

#[cfg(test)]
#[cfg(target_arch = "wasm32")]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::fixture::turn;

    #[wasm_bindgen_test]
    async fn a_turn_comes_in_a_later_task_and_once_however_often_it_was_asked_for() {
        let taken = Rc::new(Cell::new(0));
        let count = Rc::clone(&taken);
        let turns = Turns::new(move || count.set(count.get() + 1));
        assert!(turns.ask() && turns.ask());
        assert_eq!(taken.get(), 0, "not before this task is over");
        while taken.get() == 0 {
            turn().await;
        }
        assert!(turns.ask());
        while taken.get() == 1 {
            turn().await;
        }
        assert_eq!(taken.get(), 2);
        turns.ask();
        drop(turns);
        turn().await;
        assert_eq!(taken.get(), 2, "it was dropped");
    }
}
