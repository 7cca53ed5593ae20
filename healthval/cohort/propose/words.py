"""Words of column names: split in any spelling, and what they mean in four languages."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_UMLAUTS = str.maketrans(
    {
        "ß": "ss",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ø": "o",
        "æ": "ae",
    }
)


def plain(text: str) -> str:
    """Return text in letters without accents; umlauts become two letters.

    >>> plain("Größe"), plain("Sí")
    ('Groesse', 'Si')
    """
    text = unicodedata.normalize("NFC", text).translate(_UMLAUTS)
    text = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def words_of(name: str) -> tuple[str, ...]:
    """Words of a name in snake_case, camelCase, with spaces or compounded, in small letters.

    >>> words_of("AgeAtAdmission"), words_of("enc_no"), words_of("Größe"), words_of("ptid")
    (('age', 'at', 'admission'), ('enc', 'no'), ('groesse',), ('pt', 'id'))
    """
    words = (word.lower() for word in _PART.findall(plain(name)))
    return tuple(part for word in words for part in _parts(word))


def _parts(word: str) -> tuple[str, ...]:
    """Known parts of a compound or glued word, such as 'ptid'; otherwise the word itself."""
    if word in _KNOWN:
        return (word,)
    if (glued := _glued(word)) is not None:
        return glued
    for tail in _TAILS:
        if word.endswith(tail) and len(word) - len(tail) >= 3:
            return (word[: -len(tail)], tail)
    return (word,)


@lru_cache(maxsize=4096)
def _glued(word: str) -> tuple[str, ...] | None:
    if word in _GLUED:
        return (word,)
    for size in range(len(word) - 1, 1, -1):
        head, rest = word[:size], word[size:]
        if head not in _GLUED:
            continue
        if rest in _ENDS:
            return (head,)
        for link in ("", "s", "n", "en"):
            if rest.startswith(link) and (tail := _glued(rest[len(link) :])) is not None:
                return (head, *tail)
    return None


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


PATIENT = _set(
    "mrn patient patients patienten pat pt subject subj person pid patid proband paciente individual "
    "mutter mother madre mere participant patnr patno medrec nhc nhs ipp nip hcn mpi empi historia"
)
HOSPITAL_NUMBER = frozenset({("hospital", "number"), ("hospital", "no"), ("hosp", "no")})
CASE = _set(
    "visit encounter enc study case accession admission stay hadm fall aufnahme aufenthalt fallid sejour "
    "opname visita visite episodio episode exam examen specimen sample order csn untersuchung auftrag consulta "
    "ingreso hospitalisation dossier iep nda"
)
NUMBER = _set(
    "id ids no nr num number nummer key uid uuid identifier identifiant numero kennung guid"
)
KEY = NUMBER - {"no", "num", "number", "numero"}
AGE = _set(
    "age ages alter edad leeftijd eta idade lebensalter patientenalter aufnahmealter patage ptage"
)
NOT_AGE = _set("gestational gestation gest ssw bone device implant graft wound catheter")
YEARS = _set("years yrs year yr jahre ans anos old yo in at")
SMALL_TIME = _set(
    "month months mo mos monate mois meses day days tage jours dias week weeks wochen"
)
BIRTH = _set(
    "dob yob birth born birthdate birthday geburt geburts geb naissance nacimiento nac naiss"
)
YEAR = _set("yob year yr jahr j annee ano anio")
DATE = _set(
    "date datum dat fecha time zeit datetime timestamp dt on at day dob birthdate zeitpunkt uhrzeit hora "
    "heure"
)
ZIP = _set("zip zipcode postal postcode plz postleitzahl")
# Of other countries; "code_postal" is one as well, and "postal_code" is not.
FOREIGN_ZIP = _set("postcode plz postleitzahl codigo cod cp")
SEX = _set("sex sx gender geschlecht sexe sexo")
CODED = SEX | _set(
    "smoke smoking smoker tobacco tabac tabaquismo raucher rauchen race ethnicity ethnic group grp category cat code cd type typ class ward station service dept "
    "department site center centre zentrum"
)
READER = _set(
    "reader readers rater observer annotator befunder lecteur read consensus opinion adjudicator assessor "
    "evaluator evaluador evaluateur auswerter gutachter lecture relecture lectura konsens consenso revisor majority vote votes birads pirads lirads tirads rads"
)
# With a digit and another word: r2_score
READER_NUMBERED = _set("r rad derm path expert reviewer dermatologist cardiologist pathologist")
MODEL = _set(
    "model modell modele modelo ai algo algorithm algorithmus algorithme algoritmo prediction predicted pred "
    "vorhersage prognose"
)
# With one of `DETECTION`: "artificial intelligence" in other languages, and who made the model.
INTELLIGENCE = _set("ki ia cad nn cnn dnn vendor")
# With one of these, a model is a device, or "predicted" a reference value of lung function.
# Computer-aided detection with one of these; alone it may be coronary artery disease.
DETECTION = _set(
    "flag mark marks score scr prob probability finding findings risk risiko riesgo risque wahrscheinlichkeit "
    "probabilidad probabilite resultado ergebnis result class classe klasse value wert valeur valor"
)
NOT_MODEL = _set(
    "scanner manufacturer device machine vendor geraet appareil equipo hersteller fabricante fabricant fev "
    "fvc dlco tlc fef pef 67"
)
STAGE = _set("stage staging grade")
DEATH = _set(
    "expire expired died death dead mortality mort dod deceased survival survived alive vivant vivo verstorben verst tod "
    "tot exitus letalitaet mortalitaet deces decede mortalite muerte muerto fallecido fallecimiento "
    "mortalidad gestorben overleden obito dth dthfl"
)
STRONG = DEATH | _set(
    "outcome label target truth reference groundtruth adjudicated gold histology histologie pathology pathologie biopsy "
    "biopsie biopsia bx malig malign confirmed confirmee confirme confirmado confirmada bestaetigt gesichert desenlace resultado evenement y"
)
WEAK = _set(
    "sepsis cancer malignant malignancy disease diagnosis diagnose diagnoses diagnostic diag dx icd cie cim "
    "drg event mace endpoint progression positive pneumonia lungenentzuendung recall recalled admitted hospitalised hospitalized "
    "hospitalizado ingresado aufgenommen relapse recurrence rezidiv recidive recidiva readmission "
    "readmitted readmit readm rehospitalisation complication komplikation wiederaufnahme diagnostico reingreso "
    "complicacion krebs"
)
# A result that is known days later, and seldom the outcome itself.
CULTURE = _set("culture kultur cultivo blutkultur hemoculture hemocultivo")
# With a "yes" or "no" as values, an outcome; but not how, or from where, somebody was admitted.
ADMISSION = _set(
    "admission ingreso aufnahme hospitalisation hospitalization opname transfer transferred verlegung verlegt "
    "traslado trasladado transfert transfere"
)
# The parts of "readmission".
AGAIN = (_set("re adm"), _set("re admit"), _set("re admitted"), _set("re admission"))
NOT_ADMISSION = _set(
    "emergency elective planned unplanned urgent urgente programado notfall from von desde geplant type date "
    "tipo"
)
HISTORY = _set(
    "prior history hx previous prev past family baseline pre known anamnese vor vorerkrankung chronic "
    "comorbid comorbidity antecedent antecedents antecedente antecedentes familiaer pmh"
)
ALIVE = _set("alive survived survival survivor survie vivo vivant lebend ueberlebt")
# Known only when a stay ends, alone or with one of the second set.
LATER = _set(
    "los dispo disposition followup verweil liege verweildauer liegedauer estancia entlassart entlassungsart "
    "entlassgrund"
)
END = _set("discharge disch dc alta sortie entlass entlassung")
END_OF = _set(
    "orientation status stat destination dest to location type reason motivo destino tipo mode art"
)
STAY = (
    *(_set(f"{first} stay") for first in ("length", "duration")),
    *(_set(f"duree {what}") for what in ("sejour", "vm", "ventilation", "intubation")),
    *(_set(f"duracion {what}") for what in ("estancia", "vm", "ventilacion", "intubacion")),
    *(_set(f"{what} dauer") for what in ("beatmungs", "beatmung", "aufenthalts", "intubations")),
    *(
        _set(f"{what} {unit}")
        for what in ("vent", "ventilator", "icu", "uci", "its", "rea", "vm", "hospital")
        for unit in ("days", "hours", "dias", "horas", "jours", "heures", "tage", "stunden")
    ),
    *(_set(f"{what} duration") for what in ("ventilation", "vent", "intubation")),
    _set("follow up"),
)
# Scales of function, which are an outcome weeks after the event, as in "mrs_90d".
FUNCTION = _set("mrs rankin gos gose cpc barthel")
STAFF = _set(
    "chirurgien chirurgienne radiologue radiologo radiologin anesthesiste anaesthesist anestesista oberarzt "
    "stationsarzt krankenschwester praticien cirujana "
    "physician doctor surgeon consultant nurse arzt aerztin huisarts hausarzt chirurg operateur medecin medico medica "
    "cirujano attending attnd provider clinician staff anesthetist anaesthetist referrer radiologist "
    "hebamme midwife matrona comadrona zuweiser einweiser ueberweiser referring adresseur referent remitente derivante peticionario prescripteur "
    "prescriptor behandler npi lanr gln untersucher pflegekraft infirmier infirmiere enfermera enfermero username operator technician"
)
PERSON = _set(
    "karte tarjeta carte egk kv cip cipa bsn hicn personnummer commune municipio localidad localite gemeinde landkreis county borough "
    "suburb barrio quartier residence residencia wohnsitz "
    "name names vorname nachname surname forename firstname lastname familyname familienname fname lname "
    "vname nname nom prenom apellido apellidos nombre initials initialen initiales inits maiden address "
    "addr adresse direccion domicilio domicile street strasse rue calle city ort wohnort ville ciudad cidade citta town "
    "tfno tlf tlfno phone telephone tel telefon telefono mobile handy movil portable fax email mail ssn nhs nino hkid nir "
    "dni nie nss curp rfc cpf ahv svnr sozialversicherungsnummer passport pasaporte passeport ausweis "
    "insurance insurer insured insurancenumber payer payor mutuelle mutua aseguradora versicherung "
    "versicherten versichertennummer kvnr kasse krankenkasse seguro assurance secu policy mbi medicare "
    "medicaid account acct konto licence license url website ip contact kontakt kin angehoerige "
    "employer arbeitgeber"
)
SOCIAL = (_set("seg social"), _set("social security"), _set("securite sociale"), _set("add line"))
NOT_PERSON = _set(
    "drug medication medikament test unit ward procedure type kind class score count platelet precautions xray radiograph event form instrument arm protocol"
)
# At the end of a name, as in entered_by, for a member of staff.
BY = _set("by von par por")
# Of people only where the values are texts: as numbers they may be measurements.
SHORT_STAFF = _set("md dr pcp gp prov created entered signed user usr author interne resident")
SHORT_PERSON = _set("ins ph")
# A place that one patient has at a time.
PLACE = _set("bed bett lit cama room zimmer chambre habitacion")
TEXT = _set(
    "note notes remark remarks comment comments text narrative report freetext bemerkung bemerkungen befund "
    "kommentar freitext observacion observaciones commentaire remarque comentario arztbrief rendu"
)
UNIT = _set("unit units einheit unite unidad uom")
SIGN = _set("sign comparator operator op qualifier vorzeichen prefix")
POSITIVE = _set(
    "1 yes y positive pos malignant present case abnormal disease dead died ja oui o si sim true deceased "
    "expired event verstorben m p ill sick gestorben positiv positif positivo positiva maligne maligno "
    "decede fallecido muerto exitus tot"
)
NEGATIVE = _set(
    "0 no n negative neg benign absent control normal healthy alive survived nein nee non nao false lebend b lebt "
    "survivor negativ negatif negativo negativa benigne benigno vivant vivo ueberlebt"
)
# Words that make one of two texts the opposite of the other, such as "no cancer" and "cancer".
WITHOUT = _set("no not non nein kein keine keinen nicht sans sin sem without ohne free")
WITH = _set("with mit con avec com")
# Spellings of "no value" in exports, and those that are a level of a category as often.
UNKNOWN = _set("unk unknown unbekannt inconnu inconnue desconocido desconocida")
CODES = UNKNOWN | _set(
    ". .. - -- --- ? / // x n/d nd n.d. na. nr n.r. n.b. nb k.a. ka s/d sd missing fehlend manquant sin_dato "
    "-1 -9 -99 -999 -9999 -99999"
)
# Values of an outcome, whatever the name of its column.
DEATH_VALUES = _set(
    "dead died deceased expired death verstorben gestorben exitus decede deces fallecido muerto"
)
OUTCOME_VALUES = DEATH_VALUES | _set("malignant maligne maligno bosartig boesartig case diseased")

# Words that occur without a separator, and ends of compounds that decide their meaning.
_GLUED = (PATIENT - {"nhs", "historia"}) | _set(
    "enc visit case fall study stay adm admission aufnahme auf disch entlass dob geburts geb geburt age alter "
    "yr yrs jahr jahre id no nr num nummer key dt date datum dat zeit zeitpunkt time tel telefon telefone "
    "mobil handy phone versicherten versicherung kranken kasse arzt name vor nach familien haupt neben diagnose "
    "dauer verweil liege initial subject acct account record fecha ingreso nacimiento naissance entree sortie "
    "befund text brief bericht "
    "readmit mort"
)
_TAILS = (
    *(
        "aerztin",
        "arzt",
        "nummer",
        "datum",
        "diagnose",
        "telefon",
        "strasse",
        "versicherung",
        "status",
    ),
    *("dauer", "kultur"),
)
_ENDS = ("n", "en")  # of a plural, as in Krankenkassen
_KNOWN = frozenset().union(
    *(PATIENT, CASE, NUMBER, AGE, YEARS, BIRTH, DATE, ZIP, CODED, READER, MODEL, STRONG, WEAK, HISTORY),
    *(STAFF, PERSON, NOT_PERSON, TEXT, LATER, END, END_OF),
)  # fmt: skip
