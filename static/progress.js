// Keeps a page that changes by itself up to date. Without scripts the page reloads itself.
const main = document.querySelector("main[data-events]");
if (main) {
  // Where the keyboard goes on when what it was at has gone.
  main.tabIndex = -1;
  const source = new EventSource(main.dataset.events);
  const fields = "input, textarea, select";
  const isEdited = (field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
    return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
  };
  // Somebody types or chooses, or has typed what is not sent yet.
  const isAtWork = () =>
    (main.contains(document.activeElement) && document.activeElement.matches(fields)) ||
    [...main.querySelectorAll(fields)].some(isEdited);
  // What the keyboard is at is known again by its words, where it leads and what it is about: another button would do another thing.
  const hidden = (part, name) => part.closest("form")?.querySelector(`[name=${name}]`)?.value;
  const known = (part) =>
    [part.tagName, part.textContent.trim(), part.getAttribute("href"), part.closest("form")?.getAttribute("action"),
      hidden(part, "action"), hidden(part, "pairing")].join("\n");
  // What the server said last, as it said it.
  let shown = main.innerHTML;
  let isBehind = false;
  const renew = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    if (!next) return;
    const news = document.getElementById("news");
    isBehind = next.innerHTML !== shown && isAtWork();
    // Nothing is taken from under somebody's hands: the page says that it is behind.
    if (news && news.hasChildNodes() !== isBehind) {
      news.replaceChildren(...(isBehind ? [document.getElementById("news-text").content.cloneNode(true)] : []));
    }
    if (isBehind || next.innerHTML === shown) return;
    const held = main.contains(document.activeElement) ? document.activeElement : null;
    const open = [...main.querySelectorAll("details")].map((part) => part.open);
    const at = held && known(held);
    shown = next.innerHTML;
    main.innerHTML = shown;
    [...main.querySelectorAll("details")].forEach((part, index) => { part.open = open[index] || false; });
    const same = [...main.querySelectorAll("a, button, summary, [tabindex='0']")].find((part) => known(part) === at);
    if (held) (same ?? main).focus({ preventScroll: true });
    if (!next.dataset.events) source.close();
  };
  source.addEventListener("change", renew);
  // Who leaves a field as it was sees what is new, unless a button is being pressed.
  main.addEventListener("focusout", (left) => {
    if (isBehind && !left.relatedTarget?.matches("button, a")) setTimeout(() => { if (!isAtWork()) renew(); });
  });
}
