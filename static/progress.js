// Keeps a page that changes by itself up to date. Without scripts the page reloads itself.
const main = document.querySelector("main[data-events]");
if (main) {
  // Where the keyboard goes on when what it was at has gone.
  main.tabIndex = -1;
  const source = new EventSource(main.dataset.events);
  source.addEventListener("change", async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    if (!next) return;
    // What somebody is typing or choosing stays.
    const held = main.contains(document.activeElement) ? document.activeElement : null;
    if (held && ["INPUT", "TEXTAREA", "SELECT"].includes(held.tagName)) return;
    const open = [...main.querySelectorAll("details")].map((part) => part.open);
    // What the keyboard is at is known again by its words, where it leads and what it is about: another button would do another thing.
    const hidden = (part, name) => part.closest("form")?.querySelector(`[name=${name}]`)?.value;
    const known = (part) =>
      [part.tagName, part.textContent.trim(), part.getAttribute("href"), part.closest("form")?.getAttribute("action"),
        hidden(part, "action"), hidden(part, "pairing")].join("\n");
    const at = held && known(held);
    main.innerHTML = next.innerHTML;
    [...main.querySelectorAll("details")].forEach((part, index) => { part.open = open[index] || false; });
    const same = [...main.querySelectorAll("a, button, summary, [tabindex='0']")].find((part) => known(part) === at);
    if (held) (same ?? main).focus({ preventScroll: true });
    if (!next.dataset.events) source.close();
  });
}
