"""Label sets.

The names in `imagenet1k.tsv` follow these rules:

- zh is the name used in mainland China, for the ImageNet sense of the word and what its
  pictures show: `plane` 木工刨, `swab` 拖把, `brass` 纪念铜牌, `cornet` (a synset that
  holds trumpets) 小号, `wool` 毛线. No two labels share one, so near twins take two
  everyday words: `sunglass` 太阳镜 and `sunglasses` 墨镜, `laptop` 手提电脑 and `notebook`
  笔记本电脑.
- en is the first name of the synset. Where two synsets share it, whatever the case, it says
  which: `crane (bird)`, `crane (machine)`, `maillot (tights)`, `maillot (tank suit)`,
  `Cardigan Welsh corgi` beside the garment `cardigan`.

The words in `wanwu.tsv` (万物词表), for models that score any words, follow these:

- A thing, place, person, action or sign that a camera sees and a stranger can name from the
  picture. No brands, no names of persons, no abstractions.
- zh is what people in mainland China call it, and means one thing: 拳击沙袋, since 沙袋 may
  dam a river; 中阮, since 阮 is a surname too. T恤 and U盘 keep their letters.
- en is the everyday name, unique as well: `swallow (bird)` beside other senses of the word.
- Of words that pictures hardly tell apart one will do: 汤锅 for 奶锅 too.
- Words of a group stand together. Ids are positions: a word put in or out moves all after it.
"""
