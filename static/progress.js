// Keeps a page that changes by itself up to date. Without scripts the page reloads itself.
const main = document.querySelector("main[data-events]");
if (main) {
  const source = new EventSource(main.dataset.events);
  source.addEventListener("change", async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    if (!next) return;
    // What somebody is typing stays.
    const typing = document.activeElement && ["INPUT", "TEXTAREA"].includes(document.activeElement.tagName);
    if (typing && main.contains(document.activeElement)) return;
    const open = [...main.querySelectorAll("details")].map((part) => part.open);
    const form = document.activeElement?.closest("form")?.getAttribute("action");
    main.innerHTML = next.innerHTML;
    [...main.querySelectorAll("details")].forEach((part, index) => { part.open = open[index] || false; });
    // Whoever works with the keyboard stays where they were.
    const same = [...main.querySelectorAll("form")].find((other) => form && other.getAttribute("action") === form);
    same?.querySelector("button")?.focus();
    if (!next.dataset.events) source.close();
  });
}
