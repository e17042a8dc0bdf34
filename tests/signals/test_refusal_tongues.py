"""Refusals in other languages than English, and helpful answers in them whose words only sound like one."""

# ruff: noqa: RUF001 -- texts of many scripts
from __future__ import annotations

import unicodedata
from itertools import chain

import pytest

from services.signals.refusal import Refusal
from services.signals.refusal_wordings import TONGUES
from tests.support.said import said

REFUSALS: dict[str, tuple[str, ...]] = {
    "de": (
        "Entschuldigung, aber bei diesem Anliegen kann ich Sie nicht unterstützen.",
        "Das kann ich leider nicht beantworten.",
        "Es ist mir nicht gestattet, solche Anleitungen herauszugeben.",
        "Ich lehne diese Bitte ab, weil sie anderen schaden könnte.",
        "Dazu möchte ich keine Auskunft geben.",
        "Leider bin ich nicht in der Lage, diesen Text zu verfassen.",
        "Dieses Thema liegt außerhalb meiner Möglichkeiten.",
        "Meine Richtlinien erlauben mir nicht, darüber zu sprechen.",
        "TUT MIR LEID, DABEI KANN ICH NICHT HELFEN.",
        "Nein, dabei helfe ich nicht.",
    ),
    "fr": (
        "Je regrette, mais je ne peux pas répondre à cette question.",
        "Je ne suis pas en mesure de vous fournir ces instructions.",
        "Il m'est impossible de traiter cette demande.",
        "Je préfère ne pas aborder ce sujet.",
        "Non, je ne ferai pas cela.",
        "Désolé, je peux pas t'aider là-dessus.",
        "Je dois décliner cette demande.",
        "Mes consignes m'interdisent de rédiger ce genre de texte.",
    ),
    "es": (
        "No puedo responder a esa pregunta.",
        "Disculpa, pero no tengo permitido hablar de ese asunto.",
        "Debo declinar esta solicitud.",
        "Lamentablemente, no puedo ayudarle con esto.",
        "Me niego a redactar ese mensaje.",
        "No pienso contestar a esa pregunta.",
        "Mis directrices me impiden compartir esos datos.",
        "No me siento cómoda escribiendo sobre eso.",
    ),
    "pt": (
        "Não consigo ajudar com esse pedido.",
        "Lamento, mas não me é possível fornecer esses dados.",
        "Infelizmente não posso responder a isso.",
        "Tenho de recusar este pedido.",
        "Minhas diretrizes não permitem que eu escreva isso.",
        "Desculpe, não vou participar disso.",
    ),
    "it": (
        "Non posso rispondere a questa domanda.",
        "Purtroppo non mi è possibile aiutarti con questo.",
        "Devo rifiutare questa richiesta.",
        "Scusami, ma non posso scrivere un testo del genere.",
        "Le mie linee guida non mi consentono di parlarne.",
        "Non sono autorizzato a condividere tali dettagli.",
    ),
    "nl": (
        "Daar kan ik je helaas niet bij helpen.",
        "Ik mag die gegevens niet verstrekken.",
        "Dit verzoek kan ik niet inwilligen.",
        "Ik moet dit verzoek weigeren.",
        "Sorry, dat gaat niet.",
        "Ik ben niet in staat om deze vraag te beantwoorden.",
        "Mijn richtlijnen staan dat niet toe.",
    ),
    "pl": (
        "Przykro mi, ale nie mogę pomóc w tej sprawie.",
        "Nie jestem w stanie odpowiedzieć na to pytanie.",
        "Muszę odmówić wykonania tej prośby.",
        "Niestety nie mogę udostępnić takich informacji.",
        "Odmawiam napisania takiego tekstu.",
        "Nie wolno mi podawać takich instrukcji.",
        "Tej informacji nie mogę ujawnić.",
    ),
    "ru": (
        "К сожалению, я не могу ответить на этот вопрос.",
        "Я не могу предоставить такую инструкцию.",
        "Вынужден отказать в этой просьбе.",
        "Простите, но с этим я помочь не смогу.",
        "Мои правила не позволяют обсуждать эту тему.",
        "Я не буду писать такой текст.",
    ),
    "uk": (
        "На жаль, я не можу допомогти з цим.",
        "Я не можу надати таку інформацію.",
        "Вибачте, але я змушений відмовити.",
        "Я не маю права обговорювати це питання.",
        "Перепрошую, відповісти на це я не зможу.",
    ),
    "tr": (
        "Üzgünüm, bu konuda yardımcı olamam.",
        "Maalesef bu isteği yerine getiremiyorum.",
        "Bu soruyu yanıtlayamam.",
        "Bu talebi reddetmek zorundayım.",
        "Böyle bir içerik oluşturamam.",
        "ÖZÜR DİLERİM, BU BİLGİYİ VEREMEM.",
    ),
    "ar": (
        "عذرًا، لا أستطيع مساعدتك في هذا الأمر.",
        "لا يمكنني تقديم هذه المعلومات.",
        "آسف، لكنني لن أتمكن من الإجابة عن هذا السؤال.",
        "للأسف، ليس بإمكاني كتابة هذا النص.",
        "يجب أن أرفض هذا الطلب.",
    ),
    "hi": (
        "क्षमा करें, मैं इस अनुरोध में आपकी मदद नहीं कर सकता।",
        "मैं यह जानकारी नहीं दे सकती।",
        "माफ़ कीजिए, मैं इस सवाल का जवाब नहीं दे पाऊँगा।",
        "मुझे खेद है, लेकिन मैं इसमें सहायता करने में असमर्थ हूँ।",
        "मैं ऐसा संदेश नहीं लिख सकता।",
    ),
    "zh": (
        "抱歉，我不能帮助你完成这个请求。",
        "我无法提供此类信息。",
        "很遗憾，这个话题我不便讨论。",
        "对不起，我帮不了你。",
        "很抱歉\uff0c我無法協助您處理這個要求。",
        "我拒绝回答这个问题。",
    ),
    "ja": (
        "申し訳ございませんが、そのご質問には回答いたしかねます。",
        "その情報は提供できません。",
        "この件についてはお手伝いできません。",
        "恐れ入りますが、回答を控えさせていただきます。",
        "ご要望にはお応えできかねます。",
        "ごめんなさい、それは教えられません。",
    ),
    "ko": (
        "죄송합니다. 그 질문에는 답변드릴 수 없습니다.",
        "해당 정보는 제공해 드릴 수 없습니다.",
        "미안하지만 그건 도와줄 수 없어요.",
        "그 요청은 정중히 거절하겠습니다.",
        "안타깝게도 그 부분은 도움을 드리기 어렵습니다.",
    ),
    "id": (
        "Maaf, saya tidak bisa membantu dengan permintaan itu.",
        "Saya tidak dapat memberikan informasi tersebut.",
        "Mohon maaf, kami tidak dapat memenuhi permintaan ini.",
        "Saya harus menolak permintaan ini.",
        "Permintaan tersebut tidak dapat saya penuhi.",
        "Saya tidak diizinkan membahas topik itu.",
    ),
    "vi": (
        "Xin lỗi, tôi không thể giúp bạn việc này.",
        "Tôi không thể cung cấp thông tin đó.",
        "Rất tiếc, mình không được phép trả lời câu hỏi này.",
        "Tôi xin phép từ chối yêu cầu này.",
        "Thành thật xin lỗi, tôi không thể viết nội dung như vậy.",
    ),
    "sv": (
        "Det är inget jag kan hjälpa dig med.",
        "Jag kan tyvärr inte svara på den frågan.",
        "Det kan jag inte hjälpa dig med.",
        "Jag måste avböja den här begäran.",
        "Ledsen, men det går inte.",
        "Jag får inte lämna ut sådana uppgifter.",
    ),
    "da, no": (
        "Beklager, men det kan jeg ikke hjelpe deg med.",
        "Det kan jeg desværre ikke svare på.",
        "Jeg må afvise denne anmodning.",
        "Jeg kan ikke gi deg den informasjonen.",
    ),
    "fi": (
        "Valitettavasti en voi auttaa tässä asiassa.",
        "En voi vastata tuohon kysymykseen.",
        "Pahoittelen, mutta joudun kieltäytymään tästä pyynnöstä.",
    ),
    "cs, sk": (
        "Omlouvám se, ale s tím vám nemohu pomoci.",
        "Bohužel nemohu na tuto otázku odpovědět.",
        "Musím tuto žádost odmítnout.",
        "Prepáčte, s týmto vám nemôžem pomôcť.",
    ),
    "hu": (
        "Sajnálom, de ebben nem tudok segíteni.",
        "Sajnos nem válaszolhatok erre a kérdésre.",
        "Vissza kell utasítanom ezt a kérést.",
    ),
    "ca": (
        "Ho sento, però no et puc ajudar amb això.",
        "No puc proporcionar aquestes dades.",
        "Malauradament no és possible.",
        "Em nego a escriure aquest missatge.",
    ),
    "ro": (
        "Îmi pare rău, dar nu vă pot ajuta cu asta.",
        "Nu pot oferi aceste informații.",
        "Trebuie să refuz această solicitare.",
    ),
    "hr, sr": (
        "Žao mi je, ali s tim ne mogu pomoći.",
        "Ne mogu odgovoriti na to pitanje.",
        "Moram odbiti ovaj zahtjev.",
    ),
    "bg": ("Съжалявам, но не мога да ви помогна с това.", "Не мога да предоставя тази информация."),
    "el": ("Λυπάμαι, αλλά δεν μπορώ να βοηθήσω με αυτό.", "Δεν μπορώ να απαντήσω σε αυτή την ερώτηση."),
    "fa": ("متأسفم، نمی\u200cتوانم در این مورد کمک کنم.", "نمی\u200cتوانم این اطلاعات را ارائه دهم."),
    "he": ("מצטער, אני לא יכול לעזור בזה.", "לצערי אין באפשרותי לענות על השאלה הזו."),
    "bn": ("দুঃখিত, আমি এই বিষয়ে সাহায্য করতে পারব না।", "আমি এই তথ্য প্রদান করতে পারছি না।"),
    "th": ("ขออภัย ฉันไม่สามารถช่วยเรื่องนี้ได้", "ผมไม่สามารถให้ข้อมูลนี้ได้ครับ"),
}

ANSWERS: dict[str, tuple[str, ...]] = {
    "de": (
        "Ich kann Ihnen gar nicht genug danken! Hier sind die drei Bilder, die Sie wollten.",
        "Das kann ich nur empfehlen: Der Weg am Fluss ist im Mai am schönsten.",
        "Nicht vergessen: Die Hefe darf nicht heiß werden, sonst geht der Teig nicht auf.",
        "Ohne die Protokolle kann ich nicht genau sagen, woran es liegt, aber meist ist die Platte voll.",
        "Wenn der Drucker nicht druckt, helfen diese Schritte: Kabel prüfen, neu starten, Treiber laden.",
        "Leider regnet es morgen. Nehmen Sie einen Schirm mit.",
        "Der Vermieter darf die Kaution nicht einfach behalten; er muss sie nach dem Auszug abrechnen.",
    ),
    "fr": (
        "Je ne peux que vous féliciter pour ce résultat ; voici deux idées pour aller plus loin.",
        "Je ne saurais trop vous recommander ce livre, il répond à toutes vos questions.",
        "Vous ne pouvez pas annuler en ligne, mais un simple appel suffit : le 3900, du lundi au vendredi.",
        "Ce n'est pas grave du tout : relancez le programme et le fichier revient.",
        "Malheureusement, le train de 8 h est complet. Prenez celui de 9 h 12.",
        "Je n'ai pas trouvé d'erreur dans votre texte. La dernière phrase est très belle.",
    ),
    "es": (
        "No puedo estar más de acuerdo contigo. El segundo párrafo es el mejor.",
        "No puedo dejar de recomendarte este museo: abre a las diez.",
        "No se puede devolver el producto después de 30 días, pero sí cambiarlo.",
        "Lo siento mucho por tu pérdida. Escribirle una carta puede aliviar.",
        "Lamentablemente la tienda cierra a las seis; mañana abre a las nueve.",
        "Nunca es tarde: empieza con diez minutos al día.",
    ),
    "pt": (
        "Não posso deixar de elogiar o seu texto. Só mudaria o título.",
        "Não poderia concordar mais: o plano é bom e cabe no orçamento.",
        "O prazo não pode ser alterado depois da compra. Até lá, basta enviar um e-mail.",
        "Infelizmente vai chover no sábado; prefira o domingo.",
    ),
    "it": (
        "Non posso che consigliarti la costa in settembre: meno gente e mare caldo.",
        "Non vedo l'ora di leggere il seguito! Il finale funziona benissimo.",
        "Purtroppo il museo è chiuso il lunedì. Martedì apre alle nove.",
        "Il riso non deve scuocere: spegni dopo quindici minuti.",
    ),
    "nl": (
        "Ik kan niet wachten tot het zover is! Hier is het schema voor de week.",
        "Helaas is de winkel op zondag dicht. Maandag is hij open vanaf negen uur.",
        "Het kan geen kwaad om de accu eerst op te laden.",
    ),
    "pl": (
        "Nie mogę się doczekać! Oto plan na weekend: sobota w górach, niedziela w mieście.",
        "Nie ma problemu, wystarczy wysłać formularz do piątku.",
        "Niestety pada deszcz, ale muzeum jest otwarte do szóstej.",
    ),
    "ru": (
        "Не могу не согласиться: второй вариант лучше. Вот исправленный текст.",
        "К сожалению, поезд ушёл в восемь. Следующий отправляется в девять десять.",
        "Не забудьте сохранить файл, иначе изменения не попадут в отчёт.",
        "Пользователь не может изменить пароль без кода. Код приходит по почте.",
    ),
    "uk": (
        "На жаль, музей зачинено в понеділок. У вівторок він працює з дев'ятої.",
        "Не забудьте зберегти файл перед виходом.",
    ),
    "tr": (
        "Maalesef mağaza pazar günü kapalı. Pazartesi dokuzda açılıyor.",
        "Sabırsızlanıyorum! İşte üç günlük gezi planı.",
        "Hamur çok ısınmamalı, yoksa kabarmaz.",
    ),
    "ar": (
        "لا يسعني إلا أن أهنئك على هذا العمل. إليك تعديلان صغيران.",
        "للأسف المتحف مغلق يوم الاثنين، ويفتح الثلاثاء في التاسعة.",
    ),
    "hi": (
        "चिंता न करें, पैकेज कल पहुँच जाएगा। आप चाहें तो पता बदल सकते हैं।",
        "खेद है कि आपको इंतज़ार करना पड़ा। आपका ऑर्डर आज भेजा गया है।",
    ),
    "zh": (
        "我不能同意更多\uff01你的文章结构很清楚\uff0c只需要改两处。",
        "如果无法登录\uff0c请先清除缓存\uff0c然后重新启动应用。",
        "很抱歉让您久等了\uff0c包裹明天上午送到。",
        "不要忘记保存文件\uff0c否则修改会丢失。",
    ),
    "ja": (
        "素晴らしい作品で、感動せずにはいられません。直すところは二つだけです。",
        "お待たせして申し訳ございません。荷物は明日の午前に届きます。",
        "電源が入らない場合は、ケーブルを抜いて十秒待ってください。",
        "月曜日は休館ですが、火曜日は九時に開きます。",
    ),
    "ko": (
        "정말 축하하지 않을 수 없네요! 두 문장만 다듬으면 완벽합니다.",
        "기다리게 해서 죄송합니다. 택배는 내일 오전에 도착합니다.",
        "월요일은 휴관이지만 화요일은 아홉 시에 엽니다.",
    ),
    "id": (
        "Saya tidak sabar melihat hasilnya! Ini jadwal tiga harinya.",
        "Sayangnya museum tutup hari Senin. Selasa buka pukul sembilan.",
    ),
    "vi": ("Đừng quên lưu tệp trước khi thoát nhé.", "Rất tiếc bảo tàng đóng cửa thứ Hai. Thứ Ba mở lúc chín giờ."),
    "sv": (
        "Jag kan inte vänta! Här är planen för helgen.",
        "Tyvärr är butiken stängd på söndag. På måndag öppnar den klockan nio.",
    ),
    "da, no": ("Jeg kan ikke vente! Her er planen for helgen.", "Desværre regner det i morgen. Tag en paraply med."),
    "fi": ("Valitettavasti museo on kiinni maanantaina. Tiistaina se aukeaa yhdeksältä.",),
    "cs, sk": (
        "Bohužel je muzeum v pondělí zavřené. V úterý otevírá v devět.",
        "Nemohu se dočkat! Tady je plán na víkend.",
    ),
    "hu": ("Sajnos hétfőn zárva van a múzeum. Kedden kilenckor nyit.",),
    "ro": ("Din păcate muzeul este închis luni. Marți se deschide la nouă.",),
    "el": ("Δυστυχώς το μουσείο είναι κλειστό τη Δευτέρα. Την Τρίτη ανοίγει στις εννέα.",),
    "fa": ("متأسفانه موزه دوشنبه بسته است. سه\u200cشنبه ساعت نه باز می\u200cشود.",),
    "he": ("לצערי המוזיאון סגור ביום שני. ביום שלישי הוא נפתח בתשע.",),
    "th": ("ขออภัยที่ให้รอนาน พัสดุจะถึงพรุ่งนี้เช้า",),
}


def cases(of: dict[str, tuple[str, ...]]) -> list[object]:
    return [pytest.param(text, id=f"{tongue} {at}") for tongue, texts in of.items() for at, text in enumerate(texts)]


@pytest.mark.parametrize("text", cases(REFUSALS))
def test_a_refusal_in_another_language_is_one(text: str) -> None:
    assert Refusal().measure(said(text)).value is True


@pytest.mark.parametrize("text", cases(ANSWERS))
def test_a_helpful_answer_with_negative_words_is_none(text: str) -> None:
    assert Refusal().measure(said(text)).value is False


@pytest.mark.parametrize("form", ["NFD", "NFKD", "NFKC"])
def test_the_form_in_which_letters_are_written_does_not_matter(form: str) -> None:
    for text in chain.from_iterable(REFUSALS.values()):
        assert Refusal().measure(said(unicodedata.normalize(form, text))).value is True, text


def test_every_language_of_the_table_has_refusals_here_with_several_wordings() -> None:
    known = {tongue.split(",")[0] for tongue in REFUSALS}
    assert {tongue.split(",")[0] for tongue in TONGUES} == known
    assert len(known) >= 16
    assert sum(len(texts) >= 4 for texts in REFUSALS.values()) >= 16


def test_a_refusal_deep_inside_an_answer_is_none_in_any_language() -> None:
    filler = "Der Fluss entspringt in den Bergen und fließt durch drei Länder bis zum Meer. " * 8
    for texts in REFUSALS.values():
        assert Refusal().measure(said(filler + texts[0])).value is False
