"""Label sets; the names in `imagenet1k.tsv` follow these rules.

- zh is the name used in mainland China, for the ImageNet sense of the word and what its
  pictures show: `plane` 木工刨, `swab` 拖把, `brass` 纪念铜牌, `cornet` (a synset that
  holds trumpets) 小号, `wool` 毛线. No two labels share one, so near twins take two
  everyday words: `sunglass` 太阳镜 and `sunglasses` 墨镜, `laptop` 手提电脑 and `notebook`
  笔记本电脑.
- en is the first name of the synset. Where two synsets share it, whatever the case, it says
  which: `crane (bird)`, `crane (machine)`, `maillot (tights)`, `maillot (tank suit)`,
  `Cardigan Welsh corgi` beside the garment `cardigan`.
"""
