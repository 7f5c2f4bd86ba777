// Keeps a page that changes by itself up to date. Without scripts the page reloads itself.
const main = document.querySelector("main[data-events]");
if (main) {
  // Where the keyboard goes on when what it was at has gone.
  main.tabIndex = -1;
  const fields = "input, textarea, select";
  const isEdited = (field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
    return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
  };
  const hidden = (part, name) => part.closest("form")?.querySelector(`[name=${name}]`)?.value;
  // What is asked, of which instance, at which step, about what.
  const asked = (part) => hidden(part, "shown") && [hidden(part, "step"), hidden(part, "shown")].join();
  const questions = (page) =>
    [...page.querySelectorAll("form:has([name=shown])")].map((form) => form.getAttribute("action") + asked(form.firstElementChild));
  let isPressing = false;
  // Somebody presses, types or chooses, or has typed what is not sent yet; or reads a question in whose place there would be another one.
  const isAtWork = (next) => {
    const here = questions(main);
    return isPressing ||
      (main.contains(document.activeElement) && document.activeElement.matches(fields)) ||
      [...main.querySelectorAll(fields)].some(isEdited) ||
      (here.length > 0 && questions(next).some((question) => !here.includes(question)));
  };
  // What the keyboard is at is known again by its words, where it leads and what it is about: another button would do another thing.
  const known = (part) =>
    [part.tagName, part.textContent.trim(), part.getAttribute("href"), part.closest("form")?.getAttribute("action"),
      hidden(part, "action"), hidden(part, "pairing"), asked(part)].join("\n");
  // What the server said last, as it said it.
  let shown = main.innerHTML;
  let isBehind = false;
  // A screen reader reads what changes in an element that stays, and not what comes with a new one.
  const put = (next) => {
    const [said, says] = [main, next].map((page) => page.querySelector(":scope > [role=status]"));
    if (!said || !says) {
      main.innerHTML = next.innerHTML;
      return;
    }
    const parts = [...next.childNodes];
    const at = parts.indexOf(says);
    [...main.childNodes].filter((part) => part !== said).forEach((part) => { part.remove(); });
    said.before(...parts.slice(0, at));
    said.after(...parts.slice(at + 1));
    if (said.innerHTML !== says.innerHTML) said.replaceChildren(...says.childNodes);
  };
  const replace = (next) => {
    const held = main.contains(document.activeElement) ? document.activeElement : null;
    const open = [...main.querySelectorAll("details")].map((part) => part.open);
    const at = held && known(held);
    shown = next.innerHTML;
    put(next);
    [...main.querySelectorAll("details")].forEach((part, index) => { part.open = open[index] || false; });
    const same = [...main.querySelectorAll("a, button, summary, [tabindex='0']")].find((part) => known(part) === at);
    if (held) (same ?? main).focus({ preventScroll: true });
    if (next.dataset.events) return;
    // It has ended, or is another page: it changes no more.
    delete main.dataset.events;
    close();
  };
  // What the page says of itself: one of its texts, or nothing.
  const tell = (text) => {
    const news = document.getElementById("news");
    if (!news || (news.dataset.text ?? "") === text) return;
    news.dataset.text = text;
    news.replaceChildren(...(document.getElementById(text)?.content.cloneNode(true).childNodes ?? []));
  };
  // How often the portal was asked in vain. Once happens, when a page is left or the portal restarts.
  let vain = 0;
  const fail = () => {
    vain += 1;
    if (vain > 1) tell("away-text");
    retry();
  };
  // One at a time: an older answer must not come after a newer one.
  let isRenewing = false;
  let isAgain = false;
  const renew = async () => {
    isAgain = isRenewing;
    if (isRenewing) return;
    isRenewing = true;
    try {
      const address = new URL(location.href);
      // By itself, which is no use of the session.
      address.searchParams.set("renewal", "1");
      const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(15000) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = answer.ok ? page.querySelector("main") : null;
      if (!next) return fail();
      vain = 0;
      const isNew = next.innerHTML !== shown;
      isBehind = isNew && isAtWork(next);
      // Nothing is taken from under somebody's hands or eyes: the page says that it is behind.
      tell(isBehind ? "news-text" : "");
      if (isNew && !isBehind) replace(next);
    } catch {
      fail();
    } finally {
      isRenewing = false;
      if (isAgain) renew();
    }
  };
  // A browser has few connections to a server for all its pages: one that is not looked at has none.
  let source = null;
  let patience = 5000;
  let timer = null;
  // What was in vain is tried again, ever more patiently, while somebody looks.
  const retry = () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      if (document.hidden || !main.dataset.events) return;
      if (vain || source?.readyState !== EventSource.OPEN) renew();
      listen();
    }, patience);
    patience = Math.min(2 * patience, 60000);
  };
  const close = () => { source?.close(); source = null; };
  const listen = () => {
    if (document.hidden) return close();
    if (source || !main.dataset.events) return;
    source = new EventSource(main.dataset.events);
    source.addEventListener("change", () => { patience = 5000; renew(); });
    // A browser comes back by itself, but not after an answer that is no stream: a proxy's while the portal restarts, or the end of the session.
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) {
        close();
        vain += 1;
      }
      retry();
    });
  };
  document.addEventListener("visibilitychange", listen);
  listen();
  // A button that is pressed stays until it is let go; who leaves a field as it was sees what is new.
  const look = () => setTimeout(() => { if (isBehind) renew(); });
  const letGo = () => { isPressing = false; look(); };
  document.addEventListener("pointerdown", (press) => { isPressing = press.button === 0; });
  for (const end of ["pointerup", "pointercancel", "blur", "contextmenu"]) window.addEventListener(end, letGo);
  window.addEventListener("pointermove", (move) => { if (isPressing && move.buttons === 0) letGo(); });
  main.addEventListener("focusout", look);
}
