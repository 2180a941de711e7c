"""What people call the columns of a log, in the languages that logs are met in: evidence beside what a column does."""

from __future__ import annotations

import re

WORDS: dict[str, str] = {
    "user": "user uid userid visitor visitorid customer cust customerid member memberid client shopper buyer account "
    "person personid people household householdid reviewer reader viewer listener subscriber guest player student msno "
    "kunde benutzer nutzer cliente usuario utilisateur acheteur klant 用户 用户编号 用户id 会员 会员id 顾客 客户 "
    "客户id email mail login who cookie device session sessionid visit",
    "item": "item iid itemid movie movieid film filmid product productid prod pid sku asin stockcode stock article "
    "articleid good goods song songid track trackid book bookid isbn game video videoid news newsid app course venue "
    "venueid place poi hotel recipe page url post story podcast episode listing offer property ad object content doc "
    "docid document business restaurant artist artistid album author artikel produkt producto articulo produit "
    "商品 商品id 物品 物品id 电影 电影编号 视频 文章 歌曲 书 what thing",
    "time": "time timestamp ts dt date datetime day created at when utctimestamp unixreviewtime eventdate eventtime "
    "datum zeit fecha hora jour heure 时间 日期 评分时间 时间戳 timeframe moment",
    "event": "event eventtype behavior behaviour behaviortype action actiontype interaction type kind eventname verb "
    "行为 行为类型 事件 操作",
    "value": "value rating ratings score stars overall rate grade mark bookrating 评分 分数 bewertung nota note "
    "dwell watchratio",
    "count": "plays play playcount count cnt weight times frequency listens hours 次数 播放次数",
}
"""By role: words of column names, the likelier first."""
RECEIPT = (
    "order invoice basket receipt transaction trans impression beleg bestellung pedido factura ticket bill request "
    "message msg row index session visit cart 订单 订单号"
)
"""Words for what holds several things of one person at one time."""
MEASURE = (
    "price amount qty quantity cost revenue sales total discount disc tax lat latitude lon lng longitude duration "
    "length size hour minute week weekday month year age menge preis cantidad precio anzahl pieces offset hours count "
    "数量 价格 金额"
)
"""Words for numbers that measure and name nobody."""
QUANTITIES = "qty quantity amount pieces menge cantidad anzahl units count 数量"
"""Words for how many things an event is about."""
STRENGTHS = {
    1: "view pv click impression show read open visit play seen viewed viewitem productviewed watch listen 浏览 点击",
    2: "fav favorite favourite like wish wishlist addtowishlist save saved share follow 收藏 点赞 喜欢",
    3: "cart addtocart add basket productadded 加购 加购物车",
    5: "buy purchase order transaction pay checkout sale sold ordercompleted purchased bought 购买 下单 支付",
}
"""What behaviours are worth, by what they are called."""
_IDS = {"id", "ids", "no", "nr", "num", "number", "code", "key", "pk", "fk", "uuid", "hash", "token", "mboid", "pseudo"}


def tokens(name: str) -> list[str]:
    """The words of a column's name in lower case: ``Customer User-ID`` -> customer, user, id."""
    said = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name.partition(":")[0])  # RecBole writes name:type
    return re.findall(r"[^\W_]+", said.lower())


def told(name: str, role: str) -> float:
    """How strongly a name says that a column is a role: 3 for the very word, less for a word among others, 0 for none.

    A later word of the list says a little less than an earlier one.
    """
    words = WORDS[role].split()
    parts = tokens(name)
    joined = "".join(parts)
    bare = [part for part in parts if part not in _IDS] or parts
    if joined in words or "".join(bare) in words:
        word = joined if joined in words else "".join(bare)
        return 3.0 - words.index(word) / 1000
    found = [word for word in bare if word in words]
    if role == "time" and not found and parts and parts[-1] in ("at", "on"):
        return 1.5
    if not found:
        return 0.0
    return (2.0 if bare[-1] in found or bare[0] in found else 1.0) - words.index(found[-1]) / 1000


def says(name: str, words: str) -> bool:
    """Whether a column's name has one of some words."""
    known = words.split()
    parts = tokens(name)
    return any(part in known for part in parts) or "".join(parts) in known


def strength(event: str) -> int | None:
    """What a behaviour of that name is worth; None for a word that says nothing."""
    word = re.sub(r"[^\w]|[\d_]", "", event.lower())
    return next((n for n, words in STRENGTHS.items() if word in words.split()), None)
