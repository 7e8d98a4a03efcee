// @ts-check
// Answers that are meant. A key that is still held down from the page before repeats here, and would press the button that gets the focus.

/**
 * Listens to a button; a key counts only if it went down on it.
 * @param {HTMLElement} button
 * @param {() => void} act
 */
export function onPress(button, act) {
  let isDown = false;
  button.addEventListener("keydown", (event) => {
    if (event.repeat && !isDown) event.preventDefault();
    else isDown = true;
  });
  // The space bar presses when it goes up.
  button.addEventListener("keyup", (event) => {
    if (!isDown) event.preventDefault();
    isDown = false;
  });
  button.addEventListener("click", act);
}
