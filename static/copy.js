// Copies a text of the page to the clipboard. The buttons for it are shown with scripts only: without them the text is selected by hand.
document.documentElement.classList.add("scripts");
document.addEventListener("click", async (press) => {
  const button = press.target.closest?.("button[data-copy]");
  const text = button && document.querySelector(button.dataset.copy);
  if (!text) return;
  const tell = (words) => { button.nextElementSibling?.replaceChildren(words); };
  try {
    // There is no clipboard where a page came without TLS.
    await navigator.clipboard.writeText(text.textContent);
    tell("Copied.");
  } catch {
    getSelection()?.selectAllChildren(text);
    tell("Selected: press Ctrl+C.");
  }
});
