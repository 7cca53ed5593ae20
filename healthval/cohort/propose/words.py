"""Words of column names: split in any spelling, and what they mean in four languages."""

from __future__ import annotations

import re
import unicodedata

_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def words_of(name: str) -> tuple[str, ...]:
    """Words of a name in snake_case, camelCase or with spaces, in small letters without accents.

    >>> words_of("AgeAtAdmission"), words_of("enc_no"), words_of("Größe")
    (('age', 'at', 'admission'), ('enc', 'no'), ('groesse',))
    """
    plain = name.replace("ß", "ss").replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    plain = unicodedata.normalize("NFKD", plain)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return tuple(word.lower() for word in _PART.findall(plain))


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


PATIENT = _set(
    "mrn patient patients pat pt subject subj person pid patid patientid patientin proband paciente "
    "individual participant patnr patno patientennummer patientennr patientnr medrec"
)
CASE = _set(
    "visit encounter enc study case accession admission stay hadm fall fallnr fallnummer aufnahme "
    "aufenthalt aufnahmenummer fallid sejour visita visite episodio episode exam examen specimen sample "
    "order csn untersuchung untersuchungsnummer auftrag auftragsnummer consulta ingreso"
)
NUMBER = _set(
    "id ids no nr num number nummer key uid uuid identifier identifiant numero kennung guid"
)
AGE = _set(
    "age ages alter edad leeftijd eta idade lebensalter patientenalter aufnahmealter patage ptage"
)
YEARS = _set("years yrs year yr jahre ans anos old yo in at")
SMALL_TIME = _set(
    "month months mo mos monate mois meses day days tage jours dias week weeks wochen"
)
BIRTH = _set(
    "dob yob birth born birthdate birthday geburt geburtsdatum geburtsjahr gebdat gebjahr naissance "
    "nacimiento"
)
YEAR = _set("yob year jahr annee ano anio geburtsjahr gebjahr")
DATE = _set(
    "date datum fecha time zeit datetime timestamp dt on at day dob birthdate geburtsdatum gebdat "
    "zeitpunkt uhrzeit aufnahmedatum entlassdatum hora heure"
)
ZIP = _set("zip zipcode postal postcode plz postleitzahl")
READER = _set("reader readers rater observer annotator befunder lecteur")
MODEL = _set("model ai algorithm prediction predicted pred vorhersage prognose")
STRONG = _set(
    "outcome label target truth reference groundtruth gold histology histologie pathology pathologie "
    "expire expired died death dead mortality mort deceased survival survived verstorben tod tot exitus "
    "letalitaet mortalitaet deces mortalite muerte fallecido mortalidad desenlace resultado y"
)
WEAK = _set(
    "sepsis cancer malignant malignancy disease diagnosis diagnose diagnostic event positive pneumonia "
    "lungenentzuendung relapse recurrence readmission readmitted complication komplikation rezidiv "
    "wiederaufnahme diagnostico reingreso complicacion krebs"
)
HISTORY = _set(
    "prior history hx previous prev past family baseline pre known anamnese vor vorerkrankung chronic "
    "comorbid comorbidity antecedent antecedente familiaer"
)
STAFF = _set(
    "physician doctor surgeon consultant nurse arzt aerztin chirurg operateur medecin medico cirujano "
    "attending provider clinician staff anesthetist anaesthetist referrer hausarzt radiologist untersucher "
    "pflegekraft infirmier enfermera"
)
PERSON = _set(
    "name names vorname nachname surname forename firstname lastname familyname familienname nom prenom "
    "apellido apellidos nombre initials initialen initiales maiden address adresse direccion street strasse "
    "rue calle city ort wohnort ville ciudad town phone telephone tel telefon telefono mobile handy movil "
    "portable fax email mail ssn nhs nino hkid nir dni nie curp cpf ahv svnr sozialversicherungsnummer "
    "passport pasaporte insurance insurer insured insurancenumber versicherung versichertennummer kvnr kasse "
    "krankenkasse seguro assurance policy mbi medicare medicaid account licence license url website ip "
    "contact kontakt"
)
NOT_PERSON = _set("drug medication medikament test unit ward procedure type kind class score")
TEXT = _set(
    "note notes remark remarks comment comments text narrative report freetext bemerkung bemerkungen befund "
    "kommentar freitext observacion observaciones commentaire remarque comentario arztbrief"
)
POSITIVE = _set(
    "1 yes y positive pos malignant present case abnormal disease dead died ja oui si true deceased expired "
    "event verstorben m p ill sick gestorben positiv"
)
NEGATIVE = _set(
    "0 no n negative neg benign absent control normal healthy alive survived nein non false lebend b lebt "
    "survivor negativ"
)
