# ruff: noqa: E501, RUF001 -- sentences of other scripts, one a line
"""Sentences in many languages, written for these tests: long ones as assistants write them, and short ones."""

from __future__ import annotations

from typing import Final

LONG: Final = {
    "en": "The parcel left our warehouse this morning and should reach you on Friday. You can follow it with the number that we sent you by mail.",
    "de": "Das Paket hat heute Morgen unser Lager verlassen und sollte am Freitag bei Ihnen sein. Sie können es mit der Nummer verfolgen, die wir Ihnen geschickt haben.",
    "fr": "Le colis a quitté notre entrepôt ce matin et devrait arriver chez vous vendredi. Vous pouvez le suivre avec le numéro que nous vous avons envoyé.",
    "es": "El paquete salió de nuestro almacén esta mañana y debería llegarle el viernes. Puede seguirlo con el número que le enviamos por correo.",
    "it": "Il pacco ha lasciato il nostro magazzino questa mattina e dovrebbe arrivare venerdì. Può seguirlo con il numero che le abbiamo mandato.",
    "pt": "A encomenda saiu do nosso armazém esta manhã e deve chegar na sexta-feira. Você pode acompanhá-la com o número que lhe enviamos.",
    "nl": "Het pakket heeft vanmorgen ons magazijn verlaten en zou vrijdag bij u moeten zijn. U kunt het volgen met het nummer dat wij u gestuurd hebben.",
    "pl": "Paczka opuściła nasz magazyn dziś rano i powinna dotrzeć do Państwa w piątek. Można ją śledzić za pomocą numeru, który wysłaliśmy.",
    "cs": "Balík dnes ráno opustil náš sklad a měl by k vám dorazit v pátek. Můžete ho sledovat pomocí čísla, které jsme vám poslali.",
    "sv": "Paketet lämnade vårt lager i morse och borde vara hos dig på fredag. Du kan följa det med numret som vi skickade till dig.",
    "da": "Pakken forlod vores lager i morges og burde være hos dig på fredag. Du kan følge den med det nummer, som vi har sendt til dig.",
    "fi": "Paketti lähti varastostamme tänä aamuna ja sen pitäisi olla perillä perjantaina. Voit seurata sitä numerolla, jonka lähetimme sinulle.",
    "hu": "A csomag ma reggel elhagyta a raktárunkat, és pénteken kell megérkeznie önhöz. A küldött számmal nyomon követheti az útját.",
    "ro": "Coletul a plecat din depozitul nostru azi dimineață și ar trebui să ajungă vineri. Îl puteți urmări cu numărul pe care vi l-am trimis.",
    "tr": "Paket bu sabah depomuzdan ayrıldı ve cuma günü size ulaşmış olmalı. Size gönderdiğimiz numarayla kargonuzu takip edebilirsiniz.",
    "id": "Paket itu meninggalkan gudang kami pagi ini dan seharusnya sampai di tempat Anda hari Jumat. Anda dapat melacaknya dengan nomor yang kami kirimkan.",
    "vi": "Gói hàng đã rời kho của chúng tôi sáng nay và sẽ đến nơi vào thứ Sáu. Bạn có thể theo dõi bằng mã số mà chúng tôi đã gửi.",
    "ru": "Посылка сегодня утром покинула наш склад и должна прибыть к вам в пятницу. Вы можете отслеживать её по номеру, который мы вам отправили.",
    "uk": "Посилка сьогодні вранці залишила наш склад і має прибути до вас у п'ятницю. Ви можете відстежувати її за номером, який ми вам надіслали.",
    "el": "Το δέμα έφυγε από την αποθήκη μας σήμερα το πρωί και θα πρέπει να φτάσει την Παρασκευή. Μπορείτε να το παρακολουθείτε με τον αριθμό που σας στείλαμε.",
    "ar": "غادر الطرد مستودعنا هذا الصباح ومن المفترض أن يصل إليكم يوم الجمعة. يمكنكم تتبعه بالرقم الذي أرسلناه إليكم.",
    "he": "החבילה עזבה את המחסן שלנו הבוקר ואמורה להגיע אליכם ביום שישי. אפשר לעקוב אחריה בעזרת המספר ששלחנו לכם.",
    "hi": "पार्सल आज सुबह हमारे गोदाम से निकल गया है और शुक्रवार को आप तक पहुँच जाना चाहिए। आप हमारे भेजे गए नंबर से उसे ट्रैक कर सकते हैं।",
    "th": "พัสดุออกจากคลังสินค้าของเราเมื่อเช้านี้และน่าจะถึงคุณในวันศุกร์ คุณสามารถติดตามได้ด้วยหมายเลขที่เราส่งให้",
    "ko": "소포는 오늘 아침 저희 창고를 떠났으며 금요일에 도착할 예정입니다. 보내 드린 번호로 배송을 조회하실 수 있습니다.",
    "ja": "荷物は今朝当社の倉庫を出発し、金曜日にお届けする予定です。お送りした番号で追跡できます。",
    "zh": "包裹今天早上已经离开我们的仓库，预计星期五送达。您可以用我们发给您的号码查询物流状态。",
    "fa": "بسته امروز صبح از انبار ما خارج شد و باید روز جمعه به دست شما برسد. می‌توانید آن را با شماره‌ای که برایتان فرستادیم پیگیری کنید.",
    "bg": "Пратката напусна нашия склад тази сутрин и трябва да пристигне при вас в петък. Можете да я проследите с номера, който ви изпратихме.",
    "sw": "Kifurushi kimeondoka kwenye ghala letu leo asubuhi na kinatarajiwa kufika kwako siku ya Ijumaa. Unaweza kukifuatilia kwa namba tuliyokutumia.",
}
"""Two sentences each."""

SHORT: Final = {
    "en": "I am sorry, but I cannot help with that.",
    "de": "Es tut mir leid, dabei kann ich nicht helfen.",
    "fr": "Je suis désolé, je ne peux pas vous aider.",
    "es": "Lo siento, pero no puedo ayudarte con eso.",
    "it": "Mi dispiace, ma non posso aiutarti con questo.",
    "pt": "Desculpe, mas não posso ajudar com isso.",
    "nl": "Het spijt me, maar daar kan ik niet mee helpen.",
    "pl": "Przepraszam, ale nie mogę w tym pomóc.",
    "sv": "Jag är ledsen, men jag kan inte hjälpa till med det.",
    "fi": "Olen pahoillani, mutta en voi auttaa siinä.",
    "tr": "Üzgünüm, ama bu konuda yardımcı olamam.",
    "vi": "Tôi rất tiếc, nhưng tôi không thể giúp việc đó.",
    "ru": "Извините, но я не могу с этим помочь.",
    "el": "Λυπάμαι, αλλά δεν μπορώ να βοηθήσω σε αυτό.",
    "ar": "عذرًا، لا أستطيع مساعدتك في ذلك.",
    "he": "אני מצטער, אבל אני לא יכול לעזור בזה.",
    "hi": "क्षमा करें, मैं इसमें मदद नहीं कर सकता।",
    "th": "ขออภัย ฉันช่วยเรื่องนั้นไม่ได้",
    "ko": "죄송하지만 그것은 도와드릴 수 없습니다.",
    "ja": "申し訳ありませんが、それはお手伝いできません。",
    "zh": "抱歉，我无法帮助您完成这个请求。",
}
"""One sentence each."""

NOT_PROSE: Final = (
    "",
    "42",
    "ok",
    "Erika Mustermann",
    "def add(a, b):\n    return a + b\n\nprint(add(1, 2))",
    "```python\nfor i in range(10):\n    print(i)\n```",
    "SELECT id, name FROM users WHERE id = 7;",
    "https://example.com/a/b?c=d",
    '{"id": 17, "ok": true}',
    "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=",
    "\U0001f600\U0001f600\U0001f600",
    "\x00\x01\x02\ud800\udfff",
)
"""Of no language that anybody could name, or too short to be sure."""
