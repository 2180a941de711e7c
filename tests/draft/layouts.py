"""Forty-six ways in which people keep a log, made up before the code that must read them.

Each is what a real export looks like: its header (or none), its separators, ids, receipts, sessions, prices and times.
The rows are one small shop's: people who buy and look, popular and rare things, baskets of several things at a time.
"""

# ruff: noqa: E501 - a layout is read best as one line of header and one of cells
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

OPENS = datetime(2019, 11, 1, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One line of the shop's log."""

    n: int
    user: int
    item: int
    at: datetime
    receipt: int
    session: int
    event: int  # 0 view, 1 favourite, 2 cart, 3 buy
    rating: int
    quantity: int
    price: float  # of the item on that day
    category: int  # of the item
    seller: int  # of the item
    city: str  # of the user
    channel: int  # of the receipt

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())


def shop(n: int = 1500, users: int = 130, items: int = 220, seed: int = 5) -> list[Row]:
    """The log, in order of time."""
    draw = random.Random(seed)
    cities = [draw.choice(["Bern", "Lyon", "Graz", "Turin"]) for _ in range(users)]
    kinds = [(draw.randrange(12), draw.randrange(30), draw.randrange(2, 90) + 0.99) for _ in range(items)]
    rows: list[Row] = []
    at, receipt = OPENS, 0
    while len(rows) < n:
        at += timedelta(seconds=draw.expovariate(1 / 9000) + 61)
        receipt += 1
        user = min(int(draw.expovariate(1 / 40)), users - 1)
        for line in range(draw.choice([1, 1, 2, 3, 5])):
            item = min(int(draw.expovariate(1 / 50)), items - 1)
            category, seller, price = kinds[item]
            rows.append(
                Row(
                    len(rows) + 1,
                    user,
                    item,
                    at + timedelta(seconds=7 * line),
                    receipt,
                    receipt // 2,
                    draw.choice([0, 0, 0, 0, 1, 2, 3]),
                    draw.choice([1, 2, 3, 4, 4, 5, 5]),
                    draw.choice([1, 1, 1, 2, 6]),
                    price + draw.choice([0, 0, 0, 1]),
                    category,
                    seller,
                    cities[user],
                    receipt % 3,
                )
            )
    return rows[:n]


ROWS = shop()
BOUGHT = [row for row in ROWS if row.event == 3 or row.n % 3]


def receipt_time(row: Row) -> datetime:
    return row.at.replace(second=0, microsecond=0)


@dataclass(frozen=True)
class Layout:
    """How a file is written, and which of its columns is what."""

    name: str
    text: str
    user: str
    item: str
    time: str | None  # None: there is none
    event: str | None = None
    value: str | None = None
    may_ask: frozenset[str] = field(default_factory=frozenset)  # roles that nobody could be sure of


LAYOUTS: list[Callable[[], Layout]] = []
Cells = Callable[[Row], tuple[object, ...]]


def layout(
    name: str,
    header: str,
    cells: Cells,
    *,
    user: str,
    item: str,
    time: str | None,
    event: str | None = None,
    value: str | None = None,
    separator: str = ",",
    may_ask: str = "",
    names: bool = True,
    rows: Callable[[], list[Row]] = lambda: ROWS,
) -> None:
    """One more; ``names = False`` leaves the header out, so that columns are called column_1, column_2, ..."""

    def made() -> Layout:
        columns = header.split(separator)
        lines = [header] if names else []
        lines += [separator.join(str(cell) for cell in cells(row)) for row in rows()]

        def said(column: str | None) -> str | None:
            return column and (column.strip('"') if names else f"column_{columns.index(column) + 1}")

        return Layout(
            name,
            "\n".join(lines) + "\n",
            said(user) or "",
            said(item) or "",
            said(time),
            said(event),
            said(value),
            frozenset(may_ask.split()),
        )

    LAYOUTS.append(made)


def mail(row: Row) -> str:
    return f"p{row.user}@example.org"


def sku(row: Row) -> str:
    return f"{84000 + row.item}{'AB'[row.item % 2]}"


def clock(row: Row, how: str) -> str:
    return row.at.strftime(how)


layout(
    "orders of a shop system",
    "order_id,order_date,customer_no,article_no,qty,net_price",
    lambda r: (900000 + r.receipt, receipt_time(r).strftime("%Y-%m-%d %H:%M:%S"), 5000 + r.user, 70 + r.item, r.quantity, r.price),
    user="customer_no", item="article_no", time="order_date",
)  # fmt: skip
layout(
    "online retail",
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    lambda r: (536365 + r.receipt, sku(r), f"HOLDER NO {r.item}", r.quantity * (-1 if r.n % 40 == 0 else 1), f"{r.at.month}/{r.at.day}/{r.at.year} {r.at.hour}:{r.at.minute:02}", r.price, "" if r.receipt % 5 == 0 else 17850 + r.user, r.city),
    user="CustomerID", item="StockCode", time="InvoiceDate",
)  # fmt: skip
layout(
    "baskets in days",
    "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,STORE_ID,RETAIL_DISC,TRANS_TIME,WEEK_NO",
    lambda r: (r.user, 26984851472 + r.receipt, (r.at - OPENS).days + 1, 819000 + r.item, r.quantity, r.price, 300 + r.user % 9, 0, clock(r, "%H%M"), (r.at - OPENS).days // 7 + 1),
    user="household_key", item="PRODUCT_ID", time="DAY", may_ask="time",
)  # fmt: skip
layout(
    "fashion",
    "t_dat,customer_id,article_id,price,sales_channel_id",
    lambda r: (clock(r, "%Y-%m-%d"), f"{r.user * 2654435761 % 2**64:016x}", f"0{663713000 + r.item}", r.price / 1000, r.channel + 1),
    user="customer_id", item="article_id", time="t_dat",
)  # fmt: skip
layout(
    "Chinese headers",
    "用户ID,商品ID,行为类型,时间",
    lambda r: (r.user, r.item, ["浏览", "收藏", "加购", "购买"][r.event], clock(r, "%Y-%m-%d %H:%M:%S")),
    user="用户ID", item="商品ID", time="时间", event="行为类型",
)  # fmt: skip
layout(
    "Chinese ratings",
    "用户编号\t电影编号\t评分\t评分时间",
    lambda r: (r.user, r.item, r.rating, r.seconds),
    user="用户编号", item="电影编号", time="评分时间", value="评分", separator="\t",
)  # fmt: skip
layout(
    "month and day as a number",
    "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type",
    lambda r: (r.user, r.item, r.category, r.seller, r.seller % 7, int(clock(r, "%m%d")), r.event),
    user="user_id", item="item_id", time="time_stamp", event="action_type", may_ask="time event",
)  # fmt: skip
layout(
    "behaviours from 1 to 4, hours",
    "user_id,item_id,behavior_type,user_geohash,item_category,time",
    lambda r: (10001082 + r.user, 285259775 + r.item, r.event + 1, "" if r.n % 2 else f"97lk1{r.user % 9}", r.category, clock(r, "%Y-%m-%d %H")),
    user="user_id", item="item_id", time="time", event="behavior_type", may_ask="event",
)  # fmt: skip
layout(
    "clicks of sessions without a header",
    "session,when,item,category",
    lambda r: (r.session + 1, r.at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), 214500000 + r.item, ["0", "S", r.category][r.n % 3]),
    user="session", item="item", time="when", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "bought in sessions without a header",
    "session,when,item,price,quantity",
    lambda r: (r.session + 420374, r.at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), 214500000 + r.item, int(r.price * 100), r.quantity),
    user="session", item="item", time="when", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "plays of tracks without a header",
    "user\twhen\tartist\tartist_name\ttrack\ttrack_name",
    lambda r: (f"user_{r.user:06}", r.at.strftime("%Y-%m-%dT%H:%M:%SZ"), f"a{r.seller:05}", f"Band {r.seller}", f"t{r.item:07}", f"Song {r.item}, live"),
    user="user", item="track", time="when", separator="\t", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "play counts",
    "user-mboid\tmusicbrainz-artist-id\tartist-name\tplays",
    lambda r: (f"{r.user:040x}", f"{r.item:08x}-41a0", f"Band {r.item}", r.n * r.n % 997 + 1),
    user="user-mboid", item="musicbrainz-artist-id", time=None, value="plays", separator="\t", may_ask="value item time",
)  # fmt: skip
layout(
    "games without a header",
    "user,game,behavior,hours,zero",
    lambda r: (151603712 + r.user, f"The Elder Game {r.item}", "play" if r.n % 2 else "purchase", f"{r.price if r.n % 2 else 1.0}", 0),
    user="user", item="game", time=None, event="behavior", names=False, may_ask="user item value event time",
)  # fmt: skip
layout(
    "books read",
    "user_id,book_id,is_read,rating,is_reviewed",
    lambda r: (r.user, r.item, r.n % 2, r.rating, r.n % 3 // 2),
    user="user_id", item="book_id", time=None, value="rating", may_ask="time",
)  # fmt: skip
layout(
    "books rated",
    '"User-ID";"ISBN";"Book-Rating"',
    lambda r: (f'"{276725 + r.user}"', f'"{34545104 + r.item:010}X"', f'"{r.rating * 2}"'),
    user='"User-ID"', item='"ISBN"', time=None, value='"Book-Rating"', separator=";", may_ask="time",
)  # fmt: skip
layout(
    "check-ins with an old style of date",
    "userid,venueid,venuecategoryid,venuecategory,latitude,longitude,timezoneoffset,utctimestamp",
    lambda r: (r.user, f"49bbd6c0f964a520{r.item:04x}", f"4bf58dd8d48988{r.category:02}", f"Kind {r.category}", 40.7 + r.item / 1000, -74 + r.item / 900, -240, r.at.strftime("%a %b %d %H:%M:%S +0000 %Y")),
    user="userid", item="venueid", time="utctimestamp",
)  # fmt: skip
layout(
    "check-ins without a header",
    "user\twhen\tlatitude\tlongitude\tplace",
    lambda r: (r.user, r.at.strftime("%Y-%m-%dT%H:%M:%SZ"), 30.2 + r.item / 1000, -97.7 + r.item / 900, 22847 + r.item),
    user="user", item="place", time="when", separator="\t", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "films before people",
    "movie,user,rating,date",
    lambda r: (r.item, r.user, r.rating, clock(r, "%Y-%m-%d")),
    user="user", item="movie", time="date", value="rating",
)  # fmt: skip
layout(
    "trust ratings, spaces, no header",
    "user item rating",
    lambda r: (r.user, r.item, r.rating),
    user="user", item="item", time=None, value="rating", separator=" ", names=False, may_ask="user item time value",
)  # fmt: skip
layout(
    "reviews without a header",
    "user,item,stars,when",
    lambda r: (f"A{r.user * 7919 % 99991:05}XK", f"B000{r.item:06}", f"{r.rating}.0", r.seconds),
    user="user", item="item", time="when", value="stars", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "reviews without a header, the thing first",
    "item,user,stars,when",
    lambda r: (f"{r.item:010}", f"A{r.user * 7919 % 99991:05}XK", f"{r.rating}.0", r.seconds),
    user="user", item="item", time="when", value="stars", names=False, may_ask="user item",
)  # fmt: skip
layout(
    "videos watched",
    "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio",
    lambda r: (r.user, r.item, int(900 * r.price), 8000 + 13 * r.item, clock(r, "%Y-%m-%d %H:%M:%S.123"), clock(r, "%Y%m%d"), f"{r.seconds}.123", round(900 * r.price / (8000 + 13 * r.item), 4)),
    user="user_id", item="video_id", time="timestamp", value="watch_ratio", may_ask="time value",
)  # fmt: skip
layout(
    "saved by pandas with its index",
    ",userId,movieId,rating,timestamp",
    lambda r: (r.n - 1, r.user, r.item, r.rating, r.seconds),
    user="userId", item="movieId", time="timestamp", value="rating",
)  # fmt: skip
layout(
    "shop of many categories",
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
    lambda r: (r.at.strftime("%Y-%m-%d %H:%M:%S UTC"), ["view", "view", "cart", "purchase"][r.event], 1000000 + r.item, 2053013555631882655 + r.category, "" if r.category % 3 else f"electronics.kind{r.category}", f"brand{r.seller}", r.price, 512742880 + r.user, f"7c6aed8b-{r.session:08x}"),
    user="user_id", item="product_id", time="event_time", event="event_type",
)  # fmt: skip
layout(
    "web analytics",
    "event_date,event_timestamp,event_name,user_pseudo_id,ga_session_id,item_id,item_name,price",
    lambda r: (clock(r, "%Y%m%d"), r.seconds * 1_000_000, ["view_item", "add_to_wishlist", "add_to_cart", "purchase"][r.event], f"{1000 + r.user}.{r.user * 31 + 7}", r.session + 1573000000, f"SKU_{r.item}", f"Thing {r.item}", r.price),
    user="user_pseudo_id", item="item_id", time="event_timestamp", event="event_name", may_ask="time",
)  # fmt: skip
layout(
    "events of a customer data platform",
    "message_id,anonymous_id,event,received_at,properties.product_id,timestamp",
    lambda r: (f"ajs-{r.n:06}", f"anon-{r.user}", ["Product Viewed", "Product Added", "Product Added", "Order Completed"][r.event], r.at.isoformat(), f"prod-{r.item}", r.at.isoformat()),
    user="anonymous_id", item="properties.product_id", time="timestamp", event="event", may_ask="time",
)  # fmt: skip
layout(
    "orders of a shop platform",
    "Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku",
    lambda r: (f"#{1001 + r.receipt}", mail(r), receipt_time(r).strftime("%Y-%m-%d %H:%M:%S -0400"), r.quantity, f"Cup no {r.item}", r.price, sku(r)),
    user="Email", item="Lineitem sku", time="Created at", may_ask="item",
)  # fmt: skip
layout(
    "orders of another",
    "Order Number;Order Date;Customer User ID;SKU;Item Name;Quantity",
    lambda r: (r.receipt + 77, receipt_time(r).strftime("%Y-%m-%d %H:%M"), r.user + 3, sku(r), f"Cup no {r.item}", r.quantity),
    user="Customer User ID", item="SKU", time="Order Date", separator=";",
)  # fmt: skip
layout(
    "two times, each half empty",
    "user,item,viewed_at,bought_at",
    lambda r: (r.user, r.item, "" if r.event == 3 else clock(r, "%Y-%m-%d %H:%M:%S"), clock(r, "%Y-%m-%d %H:%M:%S") if r.event == 3 else ""),
    user="user", item="item", time="viewed_at", may_ask="time",
)  # fmt: skip
layout(
    "a time with gaps beside one without",
    "member,product,shipped,created",
    lambda r: (r.user, r.item, clock(r, "%Y-%m-%d") if r.n % 3 else "", clock(r, "%Y-%m-%d %H:%M:%S")),
    user="member", item="product", time="created", may_ask="time",
)  # fmt: skip
layout(
    "German",
    "Beleg;Kunde;Artikel;Datum;Menge;Preis",
    lambda r: (4000 + r.receipt, r.user + 100, f"A-{r.item}", clock(r, "%d.%m.%Y %H:%M"), r.quantity, r.price),
    user="Kunde", item="Artikel", time="Datum", separator=";",
)  # fmt: skip
layout(
    "Spanish",
    "cliente,producto,fecha,cantidad",
    lambda r: (r.user, r.item, clock(r, "%d/%m/%Y"), r.quantity),
    user="cliente", item="producto", time="fecha",
)  # fmt: skip
layout(
    "tags",
    "userId,movieId,tag,timestamp",
    lambda r: (r.user, r.item, ["funny", "dark", "slow", "Best of 2019 really"[: 5 + r.n % 9]][r.n % 4], r.seconds),
    user="userId", item="movieId", time="timestamp", may_ask="event",
)  # fmt: skip
layout(
    "a row number called id",
    "id,uid,pid,ts",
    lambda r: (r.n, r.user, r.item, r.seconds * 1000),
    user="uid", item="pid", time="ts",
)  # fmt: skip
layout(
    "songs without times",
    "msno,song_id,source_system_tab,source_type,target",
    lambda r: (f"FGtl{r.user:04}VqhcDn", f"BBzumQNXUHKdEBOB{r.item:04}=", ["explore", "my library", "search"][r.channel], ["local", "radio"][r.n % 2], r.n % 2),
    user="msno", item="song_id", time=None, may_ask="user event value time",
)  # fmt: skip
layout(
    "seconds with a fraction",
    "who,what,at",
    lambda r: (f"w{r.user}", f"t{r.item}", f"{r.seconds}.0"),
    user="who", item="what", time="at",
)  # fmt: skip
layout(
    "days of a spreadsheet",
    "customer,item,date",
    lambda r: (r.user, r.item, round(25569 + r.seconds / 86400, 4)),
    user="customer", item="item", time="date", may_ask="time",
)  # fmt: skip
layout(
    "American clock",
    "impression,reader,time,article",
    lambda r: (r.receipt, f"U{r.user}", f"{r.at.month}/{r.at.day}/{r.at.year} {clock(r, '%I:%M:%S %p')}", f"N{r.item}"),
    user="reader", item="article", time="time",
)  # fmt: skip
layout(
    "a value that is a price",
    "client_id,product_code,amount,value,dt",
    lambda r: (r.user, r.item, r.quantity, r.price, clock(r, "%Y-%m-%d %H:%M:%S")),
    user="client_id", item="product_code", time="dt", may_ask="value",
)  # fmt: skip
layout(
    "sessions whose users are seldom known",
    "sessionId;userId;itemId;timeframe;eventdate",
    lambda r: (r.session, r.user if r.session % 5 == 0 else "NA", r.item, (r.n * 7919) % 600000, clock(r, "%Y-%m-%d")),
    user="sessionId", item="itemId", time="eventdate", separator=";", may_ask="user",
)  # fmt: skip
layout(
    "date and clock apart",
    "date,time,visitor,page",
    lambda r: (clock(r, "%Y-%m-%d"), clock(r, "%H:%M:%S"), f"v{r.user}", f"/p/{r.item}"),
    user="visitor", item="page", time="date", may_ask="time",
)  # fmt: skip
layout(
    "names in place of ids",
    "Buyer|Product bought|Bought on|Price paid",
    lambda r: (f"Anna No. {r.user}", f"Lamp, type {r.item}", clock(r, "%d-%b-%Y"), r.price),
    user="Buyer", item="Product bought", time="Bought on", separator="|",
)  # fmt: skip
layout(
    "a database's dump with schema names",
    "events.user_id;events.object_id;events.created_at;events.kind",
    lambda r: (r.user, r.item, r.at.strftime("%Y-%m-%d %H:%M:%S.123456+00"), ["seen", "seen", "saved", "sold"][r.event]),
    user="events.user_id", item="events.object_id", time="events.created_at", event="events.kind", separator=";", may_ask="event",
)  # fmt: skip
layout(
    "no header, a receipt first",
    "receipt,customer,product,when,pieces",
    lambda r: (700000 + r.receipt, f"C{r.user:04}", sku(r), receipt_time(r).strftime("%Y-%m-%d %H:%M:%S"), r.quantity),
    user="customer", item="product", time="when", names=False, may_ask="user item value",
)  # fmt: skip
layout(
    "letters that say nothing",
    "a,b,c,d,e",
    lambda r: (r.seconds, 40000 + r.item, r.category, 90000 + r.user, r.city),
    user="d", item="b", time="a", may_ask="user item event",
)  # fmt: skip
layout(
    "counts of listening",
    "listener,track,count,last_played",
    lambda r: (r.user, r.item, r.quantity, r.seconds),
    user="listener", item="track", time="last_played", value="count", may_ask="value",
)  # fmt: skip


def every() -> Iterator[Layout]:
    """All of them."""
    for made in LAYOUTS:
        yield made()
