// What a page shows is what the server sent; this keeps it up to date without loading it again.
const main = document.querySelector("main");
const said = document.querySelector("#said");
let due = 0;

async function refresh() {
  due = 0;
  let text = "";
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.status < 500 && !answer.ok) return; // it is gone, or not ours
    if (!answer.ok) throw new Error(answer.statusText);
    text = await answer.text();
  } catch {
    due ||= setTimeout(refresh, 2000);
    return;
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-fresh][id]")) {
    const now = fresh.getElementById(part.id);
    if (!now || now.innerHTML === part.innerHTML) continue;
    const href = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    part.replaceChildren(...now.childNodes);
    part.querySelectorAll("details").forEach((each, place) => { each.open = open[place] ?? each.open; });
    if (href) [...part.querySelectorAll("a")].find((each) => each.getAttribute("href") === href)?.focus();
  }
}

function change(key, [css, sign, told]) {
  const item = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!item) return;
  item.setAttribute("class", `item ${css}`);
  const box = item.querySelector(":scope > .sign, :scope > a > .sign");
  const words = item.querySelector(":scope > .told, :scope > a > .told");
  if (box) box.textContent = sign;
  if (words) words.textContent = told;
}

function follow(path) {
  const source = new EventSource(path);
  source.addEventListener("message", (event) => {
    const news = JSON.parse(event.data);
    if (news.gone) { source.close(); return; }
    for (const [key, value] of Object.entries(news.items ?? {})) change(key, value);
    if (news.said) said.textContent = news.said;
    due ||= setTimeout(refresh, 600);
  });
}

function followLog(part) {
  const source = new EventSource(part.dataset.log);
  source.addEventListener("message", (event) => {
    for (const [name, lines] of Object.entries(JSON.parse(event.data))) {
      const place = part.querySelector(`pre[data-source="${CSS.escape(name)}"]`);
      if (!place) { location.reload(); return; }
      const low = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
      place.append(lines.join("\n") + "\n");
      if (low) place.scrollTop = place.scrollHeight;
    }
  });
  source.addEventListener("end", () => source.close());
}

// A large plan is looked at where something happens; the whole of it fits when that is asked for.
function place(picture) {
  const plan = picture.querySelector("svg");
  const fits = plan && plan.clientWidth <= picture.clientWidth && plan.clientHeight <= picture.clientHeight;
  if (!plan || fits) return;
  const item = [".bad", ".run", ".wait", ""].map((each) => plan.querySelector(`.item${each}`)).find((each) => each);
  const look = () => {
    const [around, inside] = [picture.getBoundingClientRect(), item.getBoundingClientRect()];
    picture.scrollLeft += inside.left - around.left - (around.width - inside.width) / 2;
    picture.scrollTop += Math.max(inside.top - around.top - around.height / 2, -picture.scrollTop);
  };
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Whole plan";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const whole = picture.classList.toggle("whole");
    button.setAttribute("aria-pressed", String(whole));
    if (!whole && item) look();
  });
  picture.before(button);
  if (item) look();
}

for (const each of document.querySelectorAll(".picture")) place(each);
if (main?.dataset.feed) follow(main.dataset.feed);
for (const part of document.querySelectorAll("[data-log]")) followLog(part);
for (const place of document.querySelectorAll(".logs pre")) place.scrollTop = place.scrollHeight;
