"""StrictModel from which training episodes are generated: our own lists, no data set."""

CATEGORIES = {  # name -> members; "_" stands for a space
    "animal": "horse cow pig sheep goat dog cat rabbit fox deer wolf bear lion tiger elephant monkey mouse camel donkey",
    "bird": "sparrow eagle owl crow pigeon swan duck goose parrot penguin robin hawk falcon stork gull",
    "fish": "salmon trout tuna shark cod herring eel carp pike sardine mackerel",
    "insect": "ant bee wasp fly mosquito beetle moth butterfly cricket grasshopper ladybird termite",
    "fruit": "apple pear banana cherry plum peach grape orange lemon mango melon strawberry pineapple fig",
    "vegetable": "carrot potato onion cabbage spinach pea bean pepper cucumber tomato broccoli lettuce radish leek",
    "dish": "soup stew pizza pasta salad curry omelette sandwich pancake burger casserole risotto pie",
    "drink": "water tea coffee milk juice beer wine lemonade cocoa whisky cider soda",
    "colour": "red blue green yellow purple orange pink brown black white grey violet turquoise",
    "country": "france germany spain italy japan china india brazil canada mexico egypt kenya norway poland greece peru",
    "city": "paris london berlin madrid rome tokyo delhi cairo oslo vienna boston chicago lisbon dublin prague",
    "language": "english french german spanish italian japanese chinese arabic russian dutch swedish greek latin",
    "job": "doctor teacher lawyer farmer baker nurse engineer pilot plumber carpenter cook soldier writer painter judge",
    "sport": "football tennis basketball hockey golf rugby cricket swimming boxing rowing skiing cycling baseball",
    "musical instrument": "piano violin guitar flute drum trumpet cello harp clarinet organ saxophone banjo",
    "tool": "hammer saw drill wrench screwdriver axe chisel pliers spade rake shovel ladder",
    "vehicle": "car bus train bicycle truck tram motorcycle van taxi tractor scooter ambulance",
    "boat": "ship ferry canoe yacht raft submarine kayak barge sailboat",
    "clothing": "shirt coat dress skirt trousers jacket sweater sock glove scarf hat shoe boot belt",
    "furniture": "table chair sofa bed desk shelf wardrobe cupboard stool bench drawer bookcase",
    "body part": "head arm leg hand foot nose ear eye mouth knee shoulder finger neck elbow",
    "illness": "flu cold fever measles asthma cancer malaria diabetes pneumonia migraine infection allergy",
    "joyful feeling": "happy glad cheerful delighted pleased thrilled joyful proud excited",
    "angry feeling": "angry furious annoyed mad irritated outraged bitter cross",
    "sad feeling": "sad unhappy gloomy lonely miserable depressed heartbroken sorrowful",
    "fearful feeling": "afraid scared frightened terrified nervous anxious worried",
    "weather": "rain snow wind fog storm hail sunshine thunder frost drizzle hurricane heat",
    "metal": "iron gold silver copper tin lead zinc aluminium steel nickel bronze",
    "gem": "diamond ruby emerald pearl sapphire amber opal jade",
    "planet": "mars venus jupiter saturn mercury neptune uranus earth",
    "tree": "oak pine maple birch willow cedar elm ash palm fir beech",
    "flower": "rose tulip daisy lily orchid sunflower violet daffodil poppy iris",
    "shape": "circle square triangle rectangle oval cube sphere cone pyramid hexagon",
    "unit of length": "metre mile inch foot kilometre yard centimetre",
    "month": "january february april june july august september october november december",
    "weekday": "monday tuesday wednesday thursday friday saturday sunday",
    "season": "spring summer autumn winter",
    "number": "one two three four five six seven eight nine ten twelve twenty hundred thousand",
    "building": "house church castle hospital school library museum factory hotel bank theatre tower prison",
    "room": "kitchen bedroom bathroom cellar attic office hall garage nursery lounge",
    "school subject": "history geography mathematics physics chemistry biology literature art",
    "dance": "waltz tango ballet salsa polka samba",
    "kind of music": "jazz rock opera blues folk pop symphony reggae",
    "kitchen thing": "pan pot knife fork spoon plate bowl cup oven kettle toaster fridge",
    "toy": "doll kite puzzle balloon marble teddy lego yoyo",
    "money": "dollar euro pound yen peso coin cheque",
    "fabric": "cotton wool silk linen leather velvet denim nylon",
    "relative": "mother father sister brother uncle aunt cousin grandmother son daughter nephew niece",
    "weapon": "gun sword knife rifle bomb bow spear cannon pistol",
    "computer thing": "keyboard screen laptop printer server software internet website password browser",
    "farm thing": "barn plough tractor harvest field crop hay cattle stable",
    "space thing": "star moon comet galaxy rocket telescope orbit astronaut satellite",
    "sea thing": "wave beach island coast tide harbour reef shell",
    "land form": "mountain hill valley desert forest river lake canyon volcano cliff",
    "crime": "murder theft robbery fraud kidnapping arson bribery burglary",
    "law word": "court judge jury trial verdict lawyer witness sentence",
    "war word": "battle army soldier troops invasion attack tank siege",
    "religious word": "church priest prayer temple bible monk mosque bishop",
    "politics word": "election president parliament minister senate vote party congress government",
    "business word": "market profit company shares bank investor sales economy trade",
    "medical word": "doctor patient surgery hospital medicine nurse treatment vaccine clinic",
    "school word": "teacher pupil lesson classroom exam homework student university",
    "travel word": "passport luggage hotel airport ticket journey tourist flight holiday",
    "kitchen action": "boil fry bake roast grill chop stir peel",
    "way of moving": "run walk jump crawl swim climb march gallop",
    "way of speaking": "whisper shout mumble scream mutter announce chat yell",
    "baby word": "cradle diaper pram toddler infant crib",
    "size": "big small huge tiny enormous large little gigantic",
    "taste": "sweet sour salty bitter spicy creamy",
    "time word": "hour minute second day week year century decade",
    "person in a story": "king queen prince princess knight witch dragon giant wizard",
}

CARRIERS = (  # sentences around a member of a category
    "{w}", "{w}", "I like {w}.", "We talked about {w} today.", "Have you seen the {w}?", "The {w} was there again.",
    "She told me about {w}.", "This is about {w}.", "My friend wrote a story about {w}.", "There is nothing like {w}.",
    "He could not stop thinking of {w}.", "A picture of {w} hung on the wall.", "What do you know about {w}?",
    "{w} and {v}", "{w}, {v}", "I know {w} and {v}.", "First {w}, then {v}.",
)  # fmt: skip

ACTIONS = {  # label word -> ways to ask
    "book": "book reserve arrange|get me|sign me up for|I need a reservation for",
    "find": "find search_for look_for|where can I get|help me locate",
    "buy": "buy purchase order|I would like to pay for|put in my basket",
    "sell": "sell|I want to get rid of|find someone who takes",
    "compare": "compare|which is better among|what is the difference between",
    "play": "play start put_on|I want to hear or see|let me enjoy",
    "stop": "stop pause halt|turn off|no more of",
    "repair": "repair fix mend|is broken, help with|does not work any more:",
    "rate": "rate review|give five stars to|my opinion on",
    "share": "share send forward|let my friends see|pass on",
    "delete": "delete remove erase|throw away|I do not need any longer",
    "create": "create make build|set up a new|start writing",
    "change": "change modify edit update|I made a mistake in|adjust",
    "explain": "explain describe|how does one use|what is meant by",
    "translate": "translate|how do you say in french|put into spanish",
    "recommend": "recommend suggest|what is a good|which would you choose among",
    "schedule": "schedule plan|put on my calendar|remind me tomorrow of",
    "rent": "rent hire borrow|for the weekend I need|lend me",
    "clean": "clean wash tidy|is dirty:|get the stains off",
    "paint": "paint draw sketch|make a picture of|give a new colour to",
    "measure": "measure weigh|how big is|how long is",
    "teach": "teach_me|I want to learn about|give me a lesson on",
    "count": "count|how many are there of|the number of",
    "insure": "insure|cover against damage|a policy for",
}

THINGS = {  # label word -> ways to say it
    "table": "a table for two|dinner for six|the restaurant on friday",
    "flight": "a flight to rome|plane tickets|the airline seat",
    "hotel": "a hotel room|two nights at the inn|somewhere to sleep",
    "song": "that song|the new album|some music by the band",
    "film": "the film|a movie tonight|cinema tickets",
    "photo": "the photo|my pictures|these holiday snapshots",
    "car": "the car|my old automobile|a vehicle with four doors",
    "house": "the house|a flat with a garden|my apartment",
    "book": "the novel|a book for children|something to read",
    "recipe": "a recipe|how to cook this dish|the cooking instructions",
    "meeting": "the meeting|an appointment with my boss|the conference call",
    "letter": "the letter|an email to my aunt|the message I wrote",
    "garden": "the garden|the flowers and the lawn|my vegetable beds",
    "computer": "my laptop|the computer|this PC and its screen",
    "phone": "the telephone|my mobile|this smartphone",
    "shoes": "the shoes|a pair of boots|my sneakers",
    "dog": "the dog|our puppy|a walk for my terrier",
    "medicine": "the pills|some medicine|my prescription",
    "insurance form": "the insurance form|the policy papers|my coverage document",
    "lesson": "the lesson|a course for beginners|private tuition",
    "game": "the game|a round of chess|this video game",
    "bicycle": "the bicycle|my mountain bike|two wheels for the city",
    "report": "the report|the quarterly numbers|a summary for the board",
    "kitchen": "the kitchen|a new oven and sink|the place where we cook",
}

PEOPLE = "Anna Ben Clara David Emma Frank Grace Henry Ida Jack Kate Leo Maria Nina Oscar Paula Quinn Rosa Sam Tina Umar Vera Will Xenia Yara Zoe".split()
CITIES = "Paris London Berlin Madrid Rome Tokyo Delhi Cairo Oslo Vienna Boston Chicago Lisbon Dublin Prague Athens Lima Nairobi".split()
OBJECTS = (
    "lamp chair book camera jacket phone clock bottle carpet ticket guitar mirror basket candle blanket kettle".split()
)
FIELDS = ("name", "city", "item", "price", "day", "number", "colour", "phone")
SENTENCES = (
    "{name} from {city} bought a {colour} {item} for {price} on {day}.",
    "On {day} {name} ordered {number} of the {colour} {item} at {price} each, to be sent to {city}.",
    "Please call {name} in {city} at {phone} about the {item}.",
    "The {item} ({colour}, {price}) goes to {name}, {city}, on {day}.",
    "My name is {name}, I live in {city}, and my {item} number {number} broke on {day}.",
    "{day}: {name}, {city}, phone {phone}, {number} x {item}, {price}.",
)
OPPOSITES = "hot cold|big small|old young|up down|day night|black white|good bad|open closed|left right|happy sad|fast slow|rich poor|hard soft|wet dry|high low|early late|light dark|full empty|strong weak|clean dirty|first last|near far|loud quiet|sweet sour|thick thin|begin end|win lose|love hate|buy sell|laugh cry|give take|true false".split(
    "|"
)
VERBS = "walk walked|play played|go went|see saw|eat ate|run ran|write wrote|take took|make made|buy bought|think thought|bring brought|sing sang|drive drove|speak spoke|find found|leave left|work worked|call called|open opened|come came|give gave|know knew|sleep slept|keep kept|ask asked|help helped|send sent".split(
    "|"
)

NONSENSE = (
    "blick dax wug fep toma zorp kiki bouba lirk mave tarn vosh quip drel snib plok grup fenn jorl mabu sefo tiro kanu belo rafi dova "
    "A B C D E F G H 1 2 3 4 5 6 7 8 x y z w u v foo bar baz qux alpha beta gamma delta omega north south east west up down left right "
    "class group type kind first second third fourth monday friday winter summer lion tiger stone cloud river lamp pencil bottle"
).split()
HELD_OUT_LABELS = (  # never used as a stand-in for a label in training
    "apple copper violin castle zebra pepper silk rocket harp olive marble falcon ginger velvet anchor saddle tulip "
    "cactus pirate lantern".split()
)
