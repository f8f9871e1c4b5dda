// The name that marks are signed with, kept in this tab's session storage.
const field = document.getElementById("by");

export const signature = () => field.value.trim() || null;

field.value = sessionStorage.getItem("by") ?? "";
field.addEventListener("change", () => sessionStorage.setItem("by", field.value.trim()));
