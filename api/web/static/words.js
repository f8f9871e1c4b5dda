// What the page says, in Chinese and in English.
const WORDS = {
  zh: { key: "访问密钥", files: "选择、拖入或粘贴图片", progress: "进度", opacity: "热图不透明度",
    wipe: "前后对比", result: "识别结果", score: "置信度", method: "方法", faithful: "热图可信",
    weak: "热图可信度较弱", not_better_than_random: "热图不比随机更好", failed: "失败",
    needKey: "请先填写访问密钥", lost: "连接中断，请重试" },
  en: { key: "Access key", files: "Choose, drop or paste pictures", progress: "Progress",
    opacity: "Heatmap opacity", wipe: "Before and after", result: "Recognised", score: "Score",
    method: "Method", faithful: "The heatmap is faithful", weak: "The heatmap is weakly faithful",
    not_better_than_random: "The heatmap is no better than random", failed: "Failed",
    needKey: "Enter the access key first", lost: "The connection was lost; try again" },
};
let language = "zh";

export const say = (word) => WORDS[language][word] ?? word;
export const labelName = (label) => (language === "zh" ? label.zh : label.en) || label.zh || label.en;

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export function write() {
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
  const button = document.getElementById("language");
  button.textContent = language === "zh" ? "English" : "中文";
  button.lang = language === "zh" ? "en" : "zh-CN";
}
