"""Every sentence that a member reads, in three languages. English is the measure of completeness.

The words are a customer's: a test proves that no crypto word stands on a member's page.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from gateway.web.formats import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)

NAMES: Mapping[Language, str] = MappingProxyType({"en": "English", "vi": "Tiếng Việt", "th": "ไทย"})

_EN = {
    "page_title": "Your points",
    "balance": "Your points",
    "balance_unit": "points",
    "balance_unit_one": "point",
    "worth": "Worth {money}",
    "spend_anywhere": "Earn and spend them at every partner of the network.",
    "soonest": "{points} points to use by {date}",
    "soonest_one": "1 point to use by {date}",
    "expiry_heading": "What expires when",
    "expiry_rule": "The points that expire soonest are always spent first.",
    "expiry_none": "You have no points that could expire.",
    "use_by": "Use by {date}",
    "earned_between": "Earned {start} to {end}",
    "in_days": "in {days} days",
    "tomorrow": "tomorrow",
    "today": "today",
    "history_heading": "History",
    "history_none": "Nothing here yet. Your first purchase with a partner will show up here.",
    "issue": "Earned at {merchant}",
    "redeem": "Spent at {merchant}",
    "refund": "Given back by {merchant}",
    "return": "Goods returned to {merchant}",
    "transfer_in": "Received from another member",
    "transfer_out": "Sent to another member",
    "other": "Changed",
    "a_partner": "a partner",
    "older": "Earlier",
    "newest": "Back to the newest",
    "up_to_date": "As of {moment}",
    "member_number": "Member number",
    "language": "Language",
    "not_found_title": "We do not know this page",
    "not_found_body": "The link may be incomplete. Please check it, or ask at any partner’s till.",
    "error_title": "Something went wrong on our side",
    "error_body": "Your points are safe. Please try again in a moment.",
    "starting_title": "The network is just starting",
    "starting_body": "There is nothing to show yet. This page will be there in a moment.",
    "home": "To the network’s page",
}

_VI = {
    "page_title": "Điểm của bạn",
    "balance": "Điểm của bạn",
    "balance_unit": "điểm",
    "balance_unit_one": "điểm",
    "worth": "Trị giá {money}",
    "spend_anywhere": "Tích và dùng điểm tại mọi đối tác trong mạng lưới.",
    "soonest": "{points} điểm, dùng đến hết {date}",
    "soonest_one": "1 điểm, dùng đến hết {date}",
    "expiry_heading": "Điểm hết hạn khi nào",
    "expiry_rule": "Điểm sắp hết hạn luôn được dùng trước.",
    "expiry_none": "Bạn không có điểm nào sắp hết hạn.",
    "use_by": "Dùng đến hết {date}",
    "earned_between": "Tích từ {start} đến {end}",
    "in_days": "còn {days} ngày",
    "tomorrow": "ngày mai",
    "today": "hôm nay",
    "history_heading": "Lịch sử",
    "history_none": "Chưa có giao dịch nào. Lần mua hàng đầu tiên tại đối tác sẽ hiện ở đây.",
    "issue": "Tích điểm tại {merchant}",
    "redeem": "Dùng điểm tại {merchant}",
    "refund": "{merchant} hoàn điểm",
    "return": "Trả hàng cho {merchant}",
    "transfer_in": "Nhận từ một thành viên khác",
    "transfer_out": "Tặng một thành viên khác",
    "other": "Thay đổi",
    "a_partner": "một đối tác",
    "older": "Cũ hơn",
    "newest": "Về mới nhất",
    "up_to_date": "Tính đến {moment}",
    "member_number": "Mã thành viên",
    "language": "Ngôn ngữ",
    "not_found_title": "Chúng tôi không tìm thấy trang này",
    "not_found_body": "Có thể đường dẫn chưa đủ. Hãy kiểm tra lại, hoặc hỏi tại quầy của đối tác.",
    "error_title": "Đã có lỗi từ phía chúng tôi",
    "error_body": "Điểm của bạn vẫn an toàn. Vui lòng thử lại sau giây lát.",
    "starting_title": "Mạng lưới đang khởi động",
    "starting_body": "Chưa có gì để hiển thị. Trang này sẽ sẵn sàng trong giây lát.",
    "home": "Đến trang của mạng lưới",
}

_TH = {
    "page_title": "คะแนนของคุณ",
    "balance": "คะแนนของคุณ",
    "balance_unit": "คะแนน",
    "balance_unit_one": "คะแนน",
    "worth": "มูลค่า {money}",
    "spend_anywhere": "สะสมและใช้คะแนนได้ที่ร้านพันธมิตรทุกแห่งในเครือข่าย",
    "soonest": "{points} คะแนน ใช้ได้ถึงวันที่ {date}",
    "soonest_one": "1 คะแนน ใช้ได้ถึงวันที่ {date}",
    "expiry_heading": "คะแนนหมดอายุเมื่อไร",
    "expiry_rule": "ระบบจะใช้คะแนนที่ใกล้หมดอายุก่อนเสมอ",
    "expiry_none": "คุณไม่มีคะแนนที่จะหมดอายุ",
    "use_by": "ใช้ได้ถึง {date}",
    "earned_between": "ได้รับระหว่าง {start} ถึง {end}",
    "in_days": "อีก {days} วัน",
    "tomorrow": "พรุ่งนี้",
    "today": "วันนี้",
    "history_heading": "ประวัติ",
    "history_none": "ยังไม่มีรายการ เมื่อซื้อสินค้าที่ร้านพันธมิตรครั้งแรก รายการจะแสดงที่นี่",
    "issue": "ได้รับจาก {merchant}",
    "redeem": "ใช้ที่ {merchant}",
    "refund": "{merchant} คืนคะแนน",
    "return": "คืนสินค้าที่ {merchant}",
    "transfer_in": "ได้รับจากสมาชิกท่านอื่น",
    "transfer_out": "โอนให้สมาชิกท่านอื่น",
    "other": "เปลี่ยนแปลง",
    "a_partner": "ร้านพันธมิตร",
    "older": "ก่อนหน้า",
    "newest": "กลับไปรายการล่าสุด",
    "up_to_date": "ข้อมูล ณ {moment}",
    "member_number": "หมายเลขสมาชิก",
    "language": "ภาษา",
    "not_found_title": "ไม่พบหน้านี้",
    "not_found_body": "ลิงก์อาจไม่ครบถ้วน โปรดตรวจสอบอีกครั้ง หรือสอบถามที่จุดชำระเงินของร้านพันธมิตร",
    "error_title": "ระบบของเราขัดข้อง",
    "error_body": "คะแนนของคุณยังอยู่ครบ โปรดลองอีกครั้งในอีกสักครู่",
    "starting_title": "เครือข่ายกำลังเริ่มทำงาน",
    "starting_body": "ยังไม่มีข้อมูลให้แสดง หน้านี้จะพร้อมในอีกสักครู่",
    "home": "ไปยังหน้าของเครือข่าย",
}

TEXTS: Mapping[Language, Mapping[str, str]] = MappingProxyType({"en": _EN, "vi": _VI, "th": _TH})


def choose_language(wanted: str | None, accepted: str | None) -> Language:
    """The language asked for by name (`?lang=`), else the best of Accept-Language, else English.

    Weights follow RFC 9110 12.5.4: `q=0` is a refusal, a malformed weight counts as nought.
    """
    for language in LANGUAGES:
        if wanted == language:
            return language
    best: Language = "en"
    best_weight = 0.0
    # A header longer than this names more languages than anybody reads.
    for part in (accepted or "")[:400].split(","):
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter)
        for language in LANGUAGES:
            if tag.strip().lower().split("-")[0] == language and weight > best_weight:
                best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0.0 <= weight <= 1.0 else 0.0
