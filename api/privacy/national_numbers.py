"""National numbers and other numbers of digits: which lengths and groupings they have, and their check digits."""

from collections.abc import Callable
from dataclasses import dataclass

from stdnum import imei as stdnum_imei
from stdnum import luhn
from stdnum.ar import cuit
from stdnum.at import vnr
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.co import nit
from stdnum.cz import rc
from stdnum.de import idnr as steuer_id
from stdnum.dk import cpr
from stdnum.ec import ci
from stdnum.ee import ik
from stdnum.fr import nir
from stdnum.gb import nhs, utr
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.id import nik
from stdnum.il import idnr as teudat_zehut
from stdnum.in_ import aadhaar
from stdnum.is_ import kennitala
from stdnum.jp import in_ as my_number
from stdnum.kr import rrn
from stdnum.lt import asmens
from stdnum.my import nric as mykad
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.nz import ird
from stdnum.pk import cnic
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.si import emso
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.ua import rntrc
from stdnum.us import itin
from stdnum.za import idnr as za_idnr

from api.privacy.payment_cards import is_card_number, is_luhn_valid
from api.privacy.scores import Grade

Check = Callable[[str], bool]
# The first two digits of an IMEI say who gave it out; others are no telephones.
_IMEI_ISSUERS = ("01", "10", "30", "33", "35", "44", "45", "49", "50", "51", "52", "53", "54", "86", "91", "98", "99")


@dataclass(frozen=True, slots=True)
class Number:
    """A kind of number: its type, its check, and what passing proves in plain digits and in its own grouping."""

    pii_type: str
    is_valid: Check
    plain: Grade | None
    grouped: Grade | None


def _is_imei(digits: str) -> bool:
    return digits.startswith(_IMEI_ISSUERS) and bool(stdnum_imei.is_valid(digits))


def _is_iccid(digits: str) -> bool:
    return digits.startswith("89") and luhn.is_valid(digits)


def _is_medicare_card(digits: str) -> bool:
    """Check an Australian Medicare number: weights 1, 3, 7, 9 over eight digits, modulo 10; ninth digit."""
    weighted = zip(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9), strict=True)
    return digits[0] in "23456" and sum(int(d) * w for d, w in weighted) % 10 == int(digits[8]) and digits[9] != "0"


def _is_routing_number(digits: str) -> bool:
    weighted = zip(digits, (3, 7, 1, 3, 7, 1, 3, 7, 1), strict=True)
    return sum(int(d) * w for d, w in weighted) % 10 == 0 and digits != "000000000"


def _is_ssn(digits: str) -> bool:
    """Turn away what is never given out; numbers that forms print as examples pass, for people copy them."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"


def _is_npi(digits: str) -> bool:
    return digits[0] in "12" and is_luhn_valid("80840" + digits)


def _is_personnummer(digits: str) -> bool:
    return bool(personnummer.is_valid(f"{digits[:-4]}-{digits[-4:]}"))


def _is_svnr(digits: str) -> bool:
    """Check an Austrian number, its date as well; months 13 to 15 are given out where a day's numbers have run out."""
    return 1 <= int(digits[4:6]) <= 31 and 1 <= int(digits[6:8]) <= 15 and bool(vnr.is_valid(digits))


def is_resident_id(digits: str) -> bool:
    """Check a Chinese number by date and check character; tables of its counties miss old and new ones."""
    is_date = digits[6:8] in {"19", "20"} and _is_month_and_day(digits[10:14])
    return is_date and bool(ric.calc_check_digit(digits) == digits[-1])


def _is_month_and_day(digits: str) -> bool:
    return 1 <= int(digits[:2]) <= 12 and 1 <= int(digits[2:4]) <= 31


def _has_rrn_form(digits: str) -> bool:
    """Tell whether digits may be a Korean number: those given out since 2020 have no check digit."""
    return _is_month_and_day(digits[2:6]) and digits[6] in "12345678"


def _is_emso(digits: str) -> bool:
    """Check an EMSO; its three digits of the year are 9xx or 0xx."""
    return digits[4] in "90" and bool(emso.is_valid(digits))


def _is_natural_nif(digits: str) -> bool:
    return digits[0] in "123" and bool(nif.is_valid(digits))


_CARD = Number("credit_card_number", is_card_number, Grade.VALID, Grade.VALID)
_SSN = Number("us_ssn", _is_ssn, Grade.LOOSE, Grade.TELLING)
_ITIN = Number("us_itin", itin.is_valid, Grade.LOOSE, Grade.TELLING)
_SIN = Number("ca_sin", sin.is_valid, Grade.WEAK, Grade.WEAK)
_BSN = Number("nl_bsn", bsn.is_valid, Grade.WEAK, Grade.WEAK)
_TFN = Number("au_tfn", tfn.is_valid, Grade.WEAK, Grade.WEAK)
_TFN_OLD = Number("au_tfn", tfn.is_valid, Grade.FORM, None)
_IRD = Number("nz_ird", ird.is_valid, Grade.FORM, Grade.WEAK)
_NIF = Number("pt_nif", _is_natural_nif, Grade.WEAK, Grade.WEAK)
_IL = Number("il_identity_number", teudat_zehut.is_valid, Grade.WEAK, Grade.WEAK)
_ROUTING = Number("us_routing_number", _is_routing_number, Grade.FORM, None)
_NPI = Number("us_npi", _is_npi, Grade.FORM, None)
_NHS = Number("gb_nhs_number", nhs.is_valid, Grade.WEAK, Grade.WEAK)
_UTR = Number("gb_utr", utr.is_valid, Grade.WEAK, Grade.WEAK)
_SVNR = Number("at_svnr", _is_svnr, Grade.CHECKED, Grade.CHECKED)
_RC = Number("cz_birth_number", rc.is_valid, Grade.CHECKED, Grade.CHECKED)
_RC_OLD = Number("cz_birth_number", rc.is_valid, Grade.LOOSE, Grade.FORM)
_SE = Number("se_personnummer", _is_personnummer, Grade.CHECKED, Grade.CHECKED)
_CPR = Number("dk_cpr", cpr.is_valid, Grade.TELLING, Grade.TELLING)
_EGN = Number("bg_egn", egn.is_valid, Grade.CHECKED, None)
_KENNITALA = Number("is_kennitala", kennitala.is_valid, Grade.CHECKED, Grade.CHECKED)
_RNTRC = Number("ua_rntrc", rntrc.is_valid, Grade.WEAK, None)
_CI = Number("ec_ci", ci.is_valid, Grade.WEAK, Grade.CHECKED)
_NIT = Number("co_nit", nit.is_valid, Grade.WEAK, Grade.WEAK)
_MEDICARE = Number("au_medicare", _is_medicare_card, Grade.WEAK, Grade.WEAK)
_DE = Number("de_tax_id", steuer_id.is_valid, Grade.CHECKED, Grade.CHECKED)
_PESEL = Number("pl_pesel", pesel.is_valid, Grade.CHECKED, None)
_OIB = Number("hr_oib", oib.is_valid, Grade.WEAK, None)
_AMKA = Number("gr_amka", amka.is_valid, Grade.CHECKED, None)
_EE = Number("ee_isikukood", ik.is_valid, Grade.CHECKED, None)
_LT = Number("lt_asmens_kodas", asmens.is_valid, Grade.CHECKED, None)
_TR = Number("tr_kimlik", tckimlik.is_valid, Grade.CHECKED, None)
_CPF = Number("br_cpf", cpf.is_valid, Grade.CHECKED, Grade.CHECKED)
_NO = Number("no_fodselsnummer", fodselsnummer.is_valid, Grade.CHECKED, Grade.CHECKED)
_BE = Number("be_nn", nn.is_valid, Grade.CHECKED, Grade.CHECKED)
_CUIT = Number("ar_cuit", cuit.is_valid, Grade.CHECKED, Grade.CHECKED)
_AADHAAR = Number("in_aadhaar", aadhaar.is_valid, Grade.WEAK, Grade.WEAK)
_MY_NUMBER = Number("jp_my_number", my_number.is_valid, Grade.WEAK, Grade.WEAK)
_MYKAD = Number("my_nric", mykad.is_valid, Grade.TELLING, Grade.TELLING)
_AHV = Number("ch_ahv", ahv.is_valid, Grade.CHECKED, Grade.CHECKED)
_EMSO = Number("si_emso", _is_emso, Grade.CHECKED, None)
_CNP = Number("ro_cnp", cnp.is_valid, Grade.CHECKED, None)
_ZA = Number("za_identity_number", za_idnr.is_valid, Grade.CHECKED, Grade.CHECKED)
_TH = Number("th_pin", pin.is_valid, Grade.WEAK, Grade.CHECKED)
_RRN = Number("kr_rrn", rrn.is_valid, Grade.CHECKED, None)
_RRN_NEW = Number("kr_rrn", _has_rrn_form, None, Grade.TELLING)
_CNIC = Number("pk_cnic", cnic.is_valid, Grade.FORM, Grade.TELLING)
_NIR = Number("fr_nir", nir.is_valid, Grade.CHECKED, Grade.CHECKED)
_IMEI = Number("imei", _is_imei, Grade.CHECKED, Grade.CHECKED)
_NIK = Number("id_nik", nik.is_valid, Grade.TELLING, Grade.TELLING)
_RIC = Number("cn_resident_id", is_resident_id, Grade.CHECKED, None)
_ICCID = Number("iccid", _is_iccid, Grade.CHECKED, Grade.CHECKED)

BY_LENGTH: dict[int, tuple[Number, ...]] = {
    8: (_IRD, _TFN_OLD),
    9: (_SIN, _BSN, _TFN, _NIF, _IL, _IRD, _SSN, _ITIN, _ROUTING, _RC_OLD),
    10: (_SVNR, _RC, _SE, _EGN, _KENNITALA, _CI, _NHS, _UTR, _RNTRC, _MEDICARE, _NIT, _CPR, _NPI),
    11: (_CPF, _NO, _BE, _TR, _PESEL, _AMKA, _EE, _LT, _CUIT, _DE, _OIB),
    12: (_SE, _CARD, _AADHAAR, _MY_NUMBER, _MYKAD),
    13: (_AHV, _CARD, _EMSO, _CNP, _ZA, _RRN, _TH, _CNIC),
    14: (_CARD,),
    15: (_NIR, _CARD, _IMEI),
    16: (_CARD, _NIK),
    17: (_CARD,),
    18: (_RIC, _CARD),
    19: (_ICCID, _CARD),
    20: (_ICCID,),
}
BY_GROUPS: dict[tuple[int, ...], tuple[Number, ...]] = {
    (3, 2, 4): (_SSN, _ITIN),
    (3, 3, 3): (_SIN, _TFN, _NIF, _IRD, _BSN),
    (3, 3, 2): (_TFN,),
    (2, 3, 3): (_IRD,),
    (4, 2, 3): (_BSN,),
    (8, 1): (_IL,),
    (3, 3, 4): (_NHS,),
    (5, 5): (_UTR,),
    (4, 6): (_SVNR,),
    (6, 4): (_RC, _SE, _KENNITALA, _CPR),
    (6, 3): (_RC_OLD,),
    (8, 4): (_SE,),
    (9, 1): (_CI, _NIT),
    (3, 3, 3, 1): (_NIT,),
    (4, 5, 1): (_MEDICARE,),
    (2, 3, 3, 3): (_DE,),
    (3, 3, 3, 2): (_CPF,),
    (9, 2): (_CPF,),
    (2, 2, 2, 3, 2): (_BE,),
    (6, 3, 2): (_BE, _NO),
    (6, 5): (_NO,),
    (2, 8, 1): (_CUIT,),
    (4, 4, 4): (_AADHAAR, _MY_NUMBER),
    (6, 2, 4): (_MYKAD,),
    (3, 4, 4, 2): (_AHV,),
    (6, 7): (_RRN_NEW,),
    (5, 7, 1): (_CNIC,),
    (6, 4, 3): (_ZA,),
    (6, 4, 2, 1): (_ZA,),
    (1, 4, 5, 2, 1): (_TH,),
    (1, 2, 2, 2, 3, 3, 2): (_NIR,),
    (13, 2): (_NIR,),
    (4, 4, 4, 4): (_CARD,),
    (4, 6, 5): (_CARD,),
    (4, 6, 4): (_CARD,),
    (4, 4, 4, 1): (_CARD,),
    (4, 4, 4, 4, 3): (_CARD, _ICCID),
    (4, 4, 4, 4, 4): (_ICCID,),
    (2, 6, 6, 1): (_IMEI,),
    (6, 2, 6, 1): (_IMEI,),
    (6, 4, 4, 2): (_NIK,),
}
