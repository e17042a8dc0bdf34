"""Sensitive labels of further languages, and the one byte that each of their letters reads as.

Labels are squeezed as texts are: no spaces, no accents, lower case. Cyrillic reads as Latin, letter by letter; a letter
of another script that stands in a label has a byte of its own. To add a label, add its letters to its kind.
"""

# ruff: noqa: RUF001 -- labels of many scripts
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CYRILLIC: Final = dict(zip("абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ", "abvgdejziiklmnoprstufhccssqyqeuaiieg", strict=True))
LATIN: Final = {"ł": "l", "ø": "o", "đ": "d", "ı": "i", "ß": "s", "æ": "a", "œ": "o"}
"""Letters that no accent is taken from."""

_NUMBER = (
    # Polish, Czech, Turkish, Swedish, Danish, Norwegian, Finnish
    "(?:numer|nr)(?:paszportu|konta(?:bankowego)?|rachunku|klienta|dowodu(?:osobistego)?|czlonkowski"
    "|prawajazdy|polisy)"
    "|paszport|cislo(?:pasu|uctu|obcanskehoprukazu|ridickehoprukazu)|rodnecislo|zakaznickecislo"
    "|(?:pasaport|hesap|musteri|kimlik|tckimlik|uye|ehliyet)(?:numarasi|no)"
    "|(?:pass|pas|konto|kund|kunde|medlems|person|fodsels|cpr|korkorts|personal|patient)(?:nummer|nr)"
    "|(?:passin|tili|asiakas|jasen)numero|henkilotunnus",
    # Russian, Ukrainian
    "номер(?:паспорта|счета|рахунку|клиента|клієнта|карты|полиса|договора|снилс|водительскогоудостоверения)"
    "|паспорт|снилс|инн|іпн|лицевойсчет",
    # Chinese, Japanese, Korean, Arabic
    "护照号码?|護照號碼|身份证号码?|身分證字號|社保号|银行[账卡]号|账户?号码?|会员编?号|客户编?号|员工编号|驾驶证号|病历号"
    "|パスポート番号|旅券番号|マイナンバー|個人番号|口座番号|会員番号|顧客番号|お客様番号|社員番号|免許証番号"
    "|여권번호|주민등록번호|계좌번호|회원번호|고객번호|사원번호|운전면허번호"
    "|رقم(?:ال)?(?:جواز(?:السفر)?|هوية|حساب|عميل|عضوية)",
)
_CODE = (
    "kod(?:dostepu|pin|dodrzwi|wejscia|alarmu)|(?:dorr|port|larm|dor|alarm|pin)(?:kod|kode)|(?:kapi|giris|alarm)kodu"
    "|ovikoodi|код(?:доступа|двери|домофона|подъезда|доступу|сигнализации)|пинкод|пин"
    "|门禁码|开门密码|暗証番号|解錠コード|出入番号|출입코드|현관비밀번호|رمزالدخول",
)
_PASSWORD = (
    "haslo|losenord|passord|adgangskode|heslo|sifre(?:si)?|parola|salasana|пароль|密码|密碼|口令|パスワード|비밀번호"
    "|암호|كلمةالمرور|كلمةالسر",
)
_ADDRESS = (
    "adreszamieszkania|(?:hem|bostads|hjemme|bopals)adress?e?|adresa(?:bydliste)?|(?:ev)?adresi|(?:koti)?osoite"
    "|(?:домашний)?адреса?(?:проживания)?",
)
_BIRTH = ("датарождения|датанародження|dataurodzenia|fodelsedatum|fodselsdato|dogumtarihi|出生日期|生年月日|생년월일",)

_WRITTEN: Final = {
    "number": _NUMBER,
    "code": _CODE,
    "password": _PASSWORD,
    "address": _ADDRESS,
    "birth_date": _BIRTH,
}
_OWN: Final = sorted({one for forms in _WRITTEN.values() for form in forms for one in form if ord(one) > 0x52F})
LETTERS: Final[Mapping[str, int]] = {
    **{letter: ord(latin) for letter, latin in {**CYRILLIC, **LATIN}.items()},
    **{letter: 0x80 + at for at, letter in enumerate(_OWN)},
}
"""Letter -> the byte that it reads as."""


def _in_bytes(form: str) -> str:
    """A form over the bytes of squeezed texts."""
    return "".join(f"\\x{LETTERS[one]:02x}" if one in LETTERS else one for one in form)


LABELS: Final = {kind: tuple(_in_bytes(form) for form in forms) for kind, forms in _WRITTEN.items()}
"""Kind -> its labels, as hyperscan reads them."""
