// The access key, kept in this tab's session storage.
const field = document.getElementById("key");

export const accessKey = () => field.value.trim();

export function keepKey() {
  sessionStorage.setItem("key", accessKey());
}

export function onNewKey(act) {
  field.addEventListener("change", () => { keepKey(); act(); });
}

field.value = sessionStorage.getItem("key") ?? "";
