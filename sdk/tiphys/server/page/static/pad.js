// The pad: a picture drawn here goes to the models that the run serves, again and again, and what they say is shown.
const pad = document.getElementById("pad");
const [height, width] = [Number(pad.dataset.height), Number(pad.dataset.width)];
const canvas = pad.querySelector("canvas");
const ink = canvas.getContext("2d");
const size = canvas.width / width;
const said = document.getElementById("pad-said");
const table = pad.querySelector(".pad-table");
const invert = pad.querySelector("[data-do=invert]");
const brush = pad.querySelector("[data-do=brush]");
let pixels = new Float32Array(height * width);
let cursor = [Math.floor(width / 2), Math.floor(height / 2)];
let last = null;
let asking = false;
let changed = false;

function show() {
  for (let place = 0; place < pixels.length; place += 1) {
    const level = Math.round(pixels[place]);
    ink.fillStyle = `rgb(${level},${level},${level})`;
    ink.fillRect((place % width) * size, Math.floor(place / width) * size, size, size);
  }
  if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
    ink.strokeStyle = "#f59e0b";
    ink.lineWidth = 2;
    ink.strokeRect(cursor[0] * size + 1, cursor[1] * size + 1, size - 2, size - 2);
  }
}

function dab(x, y) {
  const radius = Number(brush.value);
  for (let row = Math.max(0, Math.floor(y - radius)); row < Math.min(height, y + radius + 1); row += 1) {
    for (let column = Math.max(0, Math.floor(x - radius)); column < Math.min(width, x + radius + 1); column += 1) {
      const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const level = 255 * Math.max(0, Math.min(1, radius + 0.3 - far));
      pixels[row * width + column] = Math.max(pixels[row * width + column], level);
    }
  }
}

function stroke(from, to) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 2));
  for (let step = 1; step <= steps; step += 1) {
    dab(from[0] + ((to[0] - from[0]) * step) / steps, from[1] + ((to[1] - from[1]) * step) / steps);
  }
  drawn();
}

function drawn() {
  show();
  changed = true;
  ask();
}

async function ask() {
  if (asking) return;
  asking = true;
  while (changed) {
    changed = false;
    const sent = Array.from(pixels, (level) => (invert.checked ? 255 - Math.round(level) : Math.round(level)));
    try {
      const answer = await fetch(pad.dataset.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ pixels: sent }),
      });
      const told = await answer.json();
      if (answer.ok) tell(told);
      else said.textContent = told.message || `The server said ${answer.status}.`;
    } catch {
      said.textContent = "The server does not answer.";
    }
  }
  asking = false;
}

function cell(row, value) {
  const made = row.insertCell();
  made.className = "n";
  if (value === undefined) {
    made.textContent = "–";
    return;
  }
  const bar = document.createElement("meter");
  bar.value = value;
  bar.setAttribute("aria-hidden", "true");
  made.append(bar, ` ${(value * 100).toFixed(1)} %`);
}

function tell(told) {
  const head = table.tHead.rows[0];
  while (head.cells.length > 2) head.deleteCell(2);
  for (const model of told.models) {
    const name = document.createElement("th");
    name.scope = "col";
    name.className = "n";
    name.textContent = model.what ? `${model.service}: ${model.what}` : model.service;
    head.append(name);
  }
  const body = table.tBodies[0];
  body.replaceChildren();
  const order = told.mean.map((value, place) => [value, place]).sort((one, other) => other[0] - one[0]);
  told.labels.forEach((label, place) => {
    const row = body.insertRow();
    if (order.length && order[0][1] === place) row.className = "best";
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = label;
    row.append(name);
    cell(row, told.mean[place]);
    for (const model of told.models) cell(row, model.values[place]);
  });
  const failed = told.models.filter((model) => model.problem).map((model) => `${model.service}: ${model.problem}`);
  const best = order.slice(0, 2).map(([value, place]) => `${told.labels[place]} ${(value * 100).toFixed(0)} %`);
  const bare = !pixels.some((level) => level > 0);
  if (bare && !failed.length) {
    said.textContent = "Draw something: the models answer here.";
    return;
  }
  said.textContent = [best.join(", then "), ...failed].filter(Boolean).join(". ");
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = at(event);
  stroke(last, last);
});
canvas.addEventListener("pointermove", (event) => {
  if (last === null) return;
  const now = at(event);
  stroke(last, now);
  last = now;
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (last = null));
for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, show);

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (event.key in MOVES) {
    const [across, down] = MOVES[event.key];
    cursor = [
      Math.min(width - 1, Math.max(0, cursor[0] + across)),
      Math.min(height - 1, Math.max(0, cursor[1] + down)),
    ];
    show();
  } else if (event.key === " ") {
    stroke([cursor[0] + 0.5, cursor[1] + 0.5], [cursor[0] + 0.5, cursor[1] + 0.5]);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    wipe();
  } else {
    return;
  }
  event.preventDefault();
});

function wipe() {
  pixels = new Float32Array(height * width);
  drawn();
}

pad.querySelector("[data-do=wipe]").addEventListener("click", wipe);
invert.addEventListener("change", drawn);
pad.querySelector("[type=file]").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    said.textContent = "That file is no picture.";
    return;
  }
  const small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  const inside = small.getContext("2d");
  const part = Math.min(width / picture.width, height / picture.height);
  const [wide, tall] = [picture.width * part, picture.height * part];
  inside.drawImage(picture, (width - wide) / 2, (height - tall) / 2, wide, tall);
  const { data } = inside.getImageData(0, 0, width, height);
  pixels = Float32Array.from({ length: width * height }, (_, place) => {
    const [red, green, blue, seen] = data.subarray(place * 4, place * 4 + 4);
    return ((0.299 * red + 0.587 * green + 0.114 * blue) * seen) / 255;
  });
  drawn();
});
drawn();
