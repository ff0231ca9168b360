export { Admission, type AdmissionSettings, type Permit } from './admission.ts'
