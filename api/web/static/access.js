// The access key, kept in this tab's session storage.
const field = document.getElementById("key");

export const accessKey = () => field.value.trim();

export function keepKey() {
  sessionStorage.setItem("key", accessKey());
}

// One that is used already is not new, though the field says so only when it is left.
export function onNewKey(act) {
  field.addEventListener("change", () => {
    if (accessKey() === sessionStorage.getItem("key")) return;
    keepKey();
    act();
  });
}

field.value = sessionStorage.getItem("key") ?? "";
