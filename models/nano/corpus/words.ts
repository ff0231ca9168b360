import type { Random } from '../../../src/core/index.ts'
import { integer, pick } from './sample.ts'

const list = (text: string): readonly string[] => text.trim().split(/\s+/)

export const firstNames = list(`
Ada Ahmed Aiko Alan Alba Amara Amir Ana Anders Anna Anton Aria Arun Asha Axel Bea Ben Bianca Boris Carla Carlos Chen Chloe Clara
Dana Daniel Dara David Diego Dina Elena Eli Elif Emil Emma Erik Esra Eva Farah Felix Finn Fatima Gabriel Grace Greta Hana Hans Hassan
Hugo Ida Ines Ines Ivan Jack Jana Jonas Jorge Julia Kai Karim Kate Kenji Klara Lara Lars Layla Leo Lena Liam Lina Linus Lucia Luca
Maja Marco Maria Marta Max Maya Mei Mia Miguel Mila Milo Mina Mira Nadia Nico Nina Noah Nora Olga Oliver Omar Oscar Otto Paula Pedro
Petra Pia Priya Rafael Ravi Rita Rosa Ruth Salma Sam Sara Selma Simon Sofia Sven Tariq Tara Theo Tina Tom Uma Vera Victor Wanda Yara Yuki Zara Zoe
`)

export const lastNames = list(`
Abe Adler Ahlberg Alonso Andersen Baker Bauer Becker Berg Blanc Bloom Bose Brandt Brown Castro Chen Clark Costa Cruz Dahl Diaz Dubois
Eder Evans Falk Fischer Fontana Foster Garcia Gomez Gray Haas Hahn Hall Hansen Hayes Hill Holm Horvat Hughes Ito Jensen Jones Kaya Keller
Khan Kim Klein Koch Kovac Kumar Lang Larsen Lee Lopez Lund Maier Marin Martin Mehta Meyer Mori Moreau Moser Nagy Nielsen Novak Okoye Olsen
Ortiz Patel Perez Petit Popov Rao Reed Reyes Ricci Rossi Roth Ruiz Sato Schmidt Silva Singh Smith Sousa Stein Stone Suzuki Tanaka Torres
Turner Vega Vogel Wagner Walker Wang Weber White Wolf Wood Wright Yang Young Zhang Zimmer
`)

export const cities = list(`
Accra Athens Bangkok Barcelona Basel Beijing Berlin Bern Bogota Boston Bremen Cairo Chicago Cologne Dakar Delhi Denver Dubai Dublin
Florence Geneva Graz Hamburg Hanoi Havana Helsinki Istanbul Jakarta Kyoto Lagos Lima Lisbon London Lyon Madrid Malaga Manila Melbourne
Miami Milan Montreal Moscow Mumbai Munich Nairobi Naples Nice Osaka Oslo Paris Perth Porto Prague Quito Rabat Riga Rome Rotterdam
Santiago Seattle Seoul Seville Shanghai Singapore Sofia Stockholm Sydney Tallinn Tokyo Toronto Tunis Turin Valencia Vienna Vilnius Warsaw Zagreb Zurich
`)

export const jobs = list(`
actor architect artist baker barber builder carpenter chef dentist designer doctor driver editor engineer farmer gardener journalist judge
lawyer librarian mechanic musician nurse painter pharmacist photographer pilot plumber programmer sailor scientist singer teacher translator waiter writer
`)

export const items = list(`
apples bananas bottles books bowls boxes candles carrots chairs coats coins cups eggs forks glasses hammers hats jars keys knives lamps
lemons mugs nails notebooks onions oranges pears pencils pens pillows plates plums potatoes ropes shirts shoes socks spoons stamps tables tiles tomatoes towels tulips
`)

export const colours = list('red blue green yellow orange purple black white grey brown pink silver golden turquoise')
export const animals = list(
  'cat dog horse rabbit parrot hamster turtle goat fox owl bear mouse frog duck crow hedgehog otter badger sheep donkey',
)
export const weekdays = list('Monday Tuesday Wednesday Thursday Friday Saturday Sunday')
export const months = list('January February March April May June July August September October November December')
export const languages = list(
  'French German Spanish Italian Portuguese Dutch Polish Turkish Greek Swedish Japanese Korean Hindi Arabic',
)
export const currencies = list('USD EUR GBP JPY CHF SEK NOK CAD AUD INR')

/** Everyday words for the string tasks. */
export const words = list(`
anchor apple arrow autumn basket beach bell bird blanket boat bottle bread breeze bridge brook brush bucket butter button cabin candle canvas
carpet castle cellar chain cherry circle city clay cliff clock cloud coast coffee copper corner cotton cradle cream crystal curtain desert
dinner door dragon dream dust eagle earth ember engine evening fabric family feather field finger fire flag flame flower fog forest fountain
friend frost fruit garden gate ghost glass globe grain grape grass gravel harbor harvest hill honey house ice island ivory jacket jewel
journey juice jungle kettle key kitchen kite ladder lake lamp lantern leaf lemon letter light lion lock maple marble market meadow melon
mill mirror moon morning mountain music needle nest night north oak ocean olive orchard paddle paper path peach pebble pencil pepper petal
piano pillow planet pocket pond poppy powder quarry quilt rain raven ribbon river road rock roof root rope rose saddle sail salt sand
school shadow shell ship shore silk silver sky snow soap song spark spice spoon spring square stable star stone storm stream street sugar
summer sun sword table tea thread thunder ticket tiger timber torch tower train tree tulip tunnel valley velvet village violin voice wagon
wall water wave wheat wheel willow wind window winter wolf wood wool world yard year
`)

const onsets = list('b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh sl st t tr v w y z')
const vowels = list('a e i o u ai ea oo ou')
const codas = ['', '', 'n', 'r', 'l', 's', 't', 'm', 'x', 'nd', 'rk', 'st']

/** A made-up word that no list holds, so that copying has to be learned as copying. */
export function coinedWord(random: Random): string {
  const syllables = integer(random, 2, 3)
  let word = ''
  for (let i = 0; i < syllables; i++) word += pick(random, onsets) + pick(random, vowels)
  return word + pick(random, codas)
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** A first name: mostly a known one, sometimes coined. */
export function firstName(random: Random): string {
  return random() < 0.8 ? pick(random, firstNames) : capitalised(coinedWord(random))
}

export function fullName(random: Random): string {
  const last = random() < 0.8 ? pick(random, lastNames) : capitalised(coinedWord(random))
  return `${firstName(random)} ${last}`
}

export function cityName(random: Random): string {
  return random() < 0.85 ? pick(random, cities) : capitalised(coinedWord(random))
}

/** A clock time on the five minutes: `9:05`, `17:40`. */
export function clockTime(random: Random): string {
  return `${integer(random, 7, 21)}:${String(integer(random, 0, 11) * 5).padStart(2, '0')}`
}
