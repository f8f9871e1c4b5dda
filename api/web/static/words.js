// What the page says, in Chinese and in English.
const WORDS = {
  zh: { key: "访问密钥", files: "选择、拖入或粘贴图片", progress: "进度", opacity: "热图不透明度",
    wipe: "前后对比", result: "识别结果", score: "置信度", faithful: "热图可信",
    weak: "热图可信度较弱", not_better_than_random: "热图不比随机更好", failed: "失败",
    needKey: "请先填写访问密钥", lost: "连接中断，请重试", waiting: "排队等待的图片",
    left: "未提交的图片",
    recent: "最近的任务", pictures: "张图片", picture: "图片", back: "返回", filters: "筛选和排序",
    label: "标签", score_from: "置信度 % 从", score_below: "到", verdict: "热图判定", status: "状态",
    sort: "排序", all: "全部", index: "原始顺序", margin: "最不确定的在前",
    lowest: "置信度最低的在前", least_faithful: "热图最不可信的在前", most_spread: "置信度最分散的在前",
    least_agreed: "模型分歧最大的在前", wall: "图片墙",
    unfinished: "完成后可筛选和排序", previous: "上一张", next: "下一张", close: "关闭",
    queued: "排队中", running: "进行中", succeeded: "成功", partially_succeeded: "部分成功",
    cancelling: "正在取消", cancelled: "已取消", expired: "已过期",
    heatmap: "热图", free: "不限类别", against: "而非", diagnostics: "热图诊断", timings: "用时",
    faithfulness: "可信度", centre: "居中区域的可信度", entropy: "熵", effective_area: "有效面积",
    border_mass: "边缘占比", spread: "离散程度", morans_i: "莫兰指数", cam: "类激活图",
    layercam: "逐层类激活图", attention: "注意力", rollout: "注意力展开", self_relevance: "自身相关性",
    relevance: "相关性", grad_attention: "梯度注意力", legrad: "LeGrad", text: "文本", fetch: "读取",
    decode: "解码", wait: "等待", forward: "识别", explain: "解释", render: "绘制", encode: "编码",
    upload: "上传", prepare: "预处理", judge: "可信度检验",
    by: "署名", folder: "选择文件夹", othersLeft: "不是图片，未提交", review: "复核", mark_right: "✓ 正确",
    mark_wrong_label: "✗ 标签错误", mark_wrong_region: "▢ 区域错误", right: "正确",
    wrong_label: "标签错误", wrong_region: "区域错误", correct: "正确的标签（汉字、拼音或英文）",
    freeText: "标签表之外", undo: "撤销", nobody: "未署名", drawHere: "在图片上拖出应当关注的区域，或填写像素坐标",
    left_px: "左", top_px: "上", right_px: "右", bottom_px: "下", saveBox: "保存区域",
    contrast: "为什么不是…", whyNot: "为什么不是", whyNotAny: "其他标签（汉字、拼音或英文）", asking: "正在识别",
    report: "保存报告", labelSet: "标签集", ownLabels: "模型自带的标签", labels: "个标签",
    setDeleted: "标签集已被删除", setUnfit: "现有模型不能使用此标签集",
    setOutdated: "模型权重已更换，此标签集需用原来的图片重建", setLost: "标签集已不可用，已改回模型自带的标签",
    setRemedy: "。图片未提交，已改回模型自带的标签；请另选标签集或保持不变，再重新选择图片" },
  en: { key: "Access key", files: "Choose, drop or paste pictures", progress: "Progress",
    opacity: "Heatmap opacity", wipe: "Before and after", result: "Recognised", score: "Score",
    faithful: "The heatmap is faithful", weak: "The heatmap is weakly faithful",
    not_better_than_random: "The heatmap is no better than random", failed: "Failed",
    needKey: "Enter the access key first", lost: "The connection was lost; try again",
    waiting: "Pictures waiting for their turn", left: "Pictures not sent",
    recent: "Last jobs", pictures: "pictures", picture: "Picture", back: "Back", filters: "Filter and sort",
    label: "Label", score_from: "Score % from", score_below: "to", verdict: "Heatmap", status: "Status",
    sort: "Order", all: "all", index: "as submitted", margin: "least certain first",
    lowest: "lowest score first", least_faithful: "least faithful first",
    most_spread: "most spread scores first", least_agreed: "models disagree most first", wall: "Wall of pictures",
    unfinished: "to be filtered and sorted when done", previous: "Previous", next: "Next", close: "Close",
    partially_succeeded: "partly succeeded",
    heatmap: "Heatmap", free: "any label", against: "rather than", diagnostics: "The heatmap in numbers",
    timings: "Timings", faithfulness: "faithfulness", centre: "faithfulness of the centre",
    effective_area: "effective area", border_mass: "mass at the border", morans_i: "Moran's I",
    cam: "class activation", layercam: "layer CAM", self_relevance: "self relevance",
    grad_attention: "gradient-weighted attention", legrad: "LeGrad",
    by: "Your name", folder: "Choose a folder", othersLeft: "No pictures, not sent", review: "Review",
    mark_right: "✓ Right", mark_wrong_label: "✗ Wrong label", mark_wrong_region: "▢ Wrong region", right: "Right",
    wrong_label: "Wrong label", wrong_region: "Wrong region", correct: "The right label (Chinese, pinyin or English)",
    freeText: "not in the label set", undo: "Undo", nobody: "not signed",
    drawHere: "Drag a box on the picture around what should count, or write it in pixels",
    left_px: "Left", top_px: "Top", right_px: "Right", bottom_px: "Bottom", saveBox: "Save the box",
    contrast: "Why not …", whyNot: "Why not ", whyNotAny: "Another label (Chinese, pinyin or English)",
    asking: "Being recognised", report: "Save the report", prepare: "preparation", judge: "faithfulness check",
    labelSet: "Label set", ownLabels: "The model's own labels", labels: "labels",
    setDeleted: "The label set was deleted", setUnfit: "No running model takes the label set",
    setOutdated: "The model has other weights now; make the label set anew from its pictures",
    setLost: "The label set is no longer available; back to the model's own labels",
    setRemedy: ". The pictures were not sent. The page is back to the model's own labels; choose another " +
      "label set or none, then the pictures again" },
};
let language = "zh";

export const say = (word) => WORDS[language][word] ?? word;
export const languageTag = () => (language === "zh" ? "zh-CN" : "en");
export const labelName = (label) => (language === "zh" ? label.zh : label.en) || label.zh || label.en;

// An error as people read it; browsers call a lost connection a TypeError.
export const problem = (error) => (error instanceof TypeError ? say("lost") : error.message);

export function when(moment) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(languageTag(), style).format(new Date(moment));
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  document.documentElement.lang = languageTag();
}

export function write() {
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
  for (const node of document.querySelectorAll("[data-name]")) node.ariaLabel = say(node.dataset.name);
  const button = document.getElementById("language");
  button.textContent = language === "zh" ? "English" : "中文";
  button.lang = language === "zh" ? "en" : "zh-CN";
}
